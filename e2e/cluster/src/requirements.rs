//! What a machine must have for the cluster to run on it.

use std::fmt;

use crate::binaries::Binaries;
use crate::packages;

/// Why the cluster cannot run here: every reason, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// One sentence a reason, each with what to do.
    pub reasons: Vec<String>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the local cluster cannot run here: {}",
            self.reasons.join("; ")
        )
    }
}

impl std::error::Error for Unmet {}

/// Whether the cluster can run here; changes nothing and takes milliseconds.
///
/// # Errors
/// It cannot, and this is why: for a loud skip.
pub fn check() -> Result<(), Unmet> {
    let reasons = reasons();
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Unmet { reasons })
    }
}

fn reasons() -> Vec<String> {
    if !cfg!(target_os = "linux") {
        return vec!["it needs Linux; use `--context` with a cluster of your own".to_owned()];
    }
    let mut reasons = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        reasons.push(
            "it needs root, for network namespaces and cgroups; run it with sudo, or use \
             `--context` with a cluster of your own"
                .to_owned(),
        );
    }
    let missing = packages::missing(&packages::CLUSTER_TOOLS);
    if !missing.is_empty() && !packages::can_install() {
        let names: Vec<_> = missing.iter().map(|tool| tool.package).collect();
        reasons.push(format!(
            "these Debian packages are missing: {}",
            names.join(" ")
        ));
    }
    if let Err(error) = Binaries::can_be_had() {
        reasons.push(format!("{error:#}"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told() {
        let unmet = Unmet {
            reasons: vec!["no root".to_owned(), "no Go".to_owned()],
        };
        let text = unmet.to_string();
        assert!(text.contains("no root; no Go"), "{text}");
    }
}
