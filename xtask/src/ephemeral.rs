//! `manifests/install-ephemeral.yaml`: the installation for a cluster that provides no volumes.

use anyhow::{Result, ensure};

/// What differs from `install.yaml` in a line: what stands there, what takes its place, and how often.
const LINES: [(&str, &str, usize); 4] = [
    (
        "# Deleting this file's objects leaves the CRDs, every App and Store, and the volumes of the store and\n\
         # of the builder; applying it again finds them. Every pod meets Restricted Pod Security.\n",
        "# For clusters without a default StorageClass, to try Shoal: builder and store keep what they have in\n\
         # folders of their pods. WHAT APPS STORE GOES WITH THE POD `shoal-store`, which ends when it holds more\n\
         # than 1 GiB; compiled code is made again. Every pod meets Restricted Pod Security.\n\
         #\n\
         # Written by `cargo xtask crds` from install.yaml. To change from one to the other, delete the\n\
         # StatefulSets `shoal-builder` and `shoal-store` first: Kubernetes does not change their volumes.\n",
        1,
    ),
    (
        "kubectl apply -f crds.yaml -f install.yaml          (",
        "kubectl apply -f crds.yaml -f install-ephemeral.yaml          (",
        1,
    ),
    (
        "          command: [/usr/local/bin/shoal-operator]\n          args: [--log=json]\n",
        "          command: [/usr/local/bin/shoal-operator]\n          args: [--log=json, --embedded-store=ephemeral]\n",
        1,
    ),
    (
        "  # The volume outlives this object.\n  \
         persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}\n",
        "",
        2,
    ),
];

const TEMPLATES: &str = "  volumeClaimTemplates:\n";
const STORAGE: &str = "          requests: {storage: ";

/// What it holds, made from `install.yaml`. The volumes of a pod are the last that stands before its claims, so each
/// claim becomes the last of them.
///
/// # Errors
/// `install.yaml` does not have, as often as expected, what is to be something else here.
pub fn of(install: &str) -> Result<String> {
    let mut text = install.to_owned();
    for (from, to, times) in LINES {
        let found = text.matches(from).count();
        ensure!(
            found == times,
            "manifests/install.yaml has {found} times instead of {times}:\n{from}"
        );
        text = text.replace(from, to);
    }
    let mut parts = text.split(TEMPLATES);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        made.push_str(&without_claim(part)?);
    }
    ensure!(
        !made.contains("volumeClaimTemplates"),
        "manifests/install.yaml has volumeClaimTemplates that are not written as the others are"
    );
    Ok(made)
}

/// Replaces the one claim `state` at the beginning of `text` by a folder of the same size.
fn without_claim(text: &str) -> Result<String> {
    let claim: usize = text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("    "))
        .map(str::len)
        .sum();
    let (claim, rest) = text.split_at(claim);
    let size = claim
        .split_once(STORAGE)
        .and_then(|(_, after)| after.split_once('}'))
        .map(|(size, _)| size);
    let is_state = claim.matches("- metadata:").count() == 1 && claim.contains("name: state\n");
    let Some(size) = size.filter(|_| is_state) else {
        anyhow::bail!("manifests/install.yaml: a claim is not the one volume `state`:\n{claim}");
    };
    Ok(format!(
        "        # Goes with the pod, and the pod goes when it is full.\n        \
         - name: state\n          emptyDir: {{sizeLimit: {size}}}\n{rest}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALL: &str = include_str!("../../manifests/install.yaml");

    #[test]
    fn what_is_committed_is_what_is_written() {
        let committed = include_str!("../../manifests/install-ephemeral.yaml");
        assert!(of(INSTALL).unwrap() == committed, "run `cargo xtask crds`");
    }

    #[test]
    fn a_claim_becomes_a_folder_of_its_size_and_what_follows_stays() {
        let claim = "    - metadata:\n        name: state\n      spec:\n        resources:\n          \
                     requests: {storage: 3Gi}\n\n# next\n---\n";
        let made = without_claim(claim).unwrap();
        assert!(made.contains("- name: state\n          emptyDir: {sizeLimit: 3Gi}\n\n# next"));
    }

    #[test]
    fn an_installation_that_is_written_otherwise_is_an_error_and_not_half_changed() {
        for (from, _, _) in LINES {
            let error = of(&INSTALL.replace(from, "")).unwrap_err().to_string();
            assert!(error.contains(from), "{error}");
        }
        assert!(of(&INSTALL.replace("        name: state\n", "        name: data\n")).is_err());
        assert!(of(&INSTALL.replace(TEMPLATES, "  volumeClaimTemplates:  \n")).is_err());
        assert!(of(&INSTALL.replace(STORAGE, "          requests: {files: ")).is_err());
    }
}
