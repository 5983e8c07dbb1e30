//! The file itself.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;
use shoal_crds::{AppSpec, yaml};
use shoal_protocol::state_file;

const MOST_BYTES: u64 = 64 << 20;

/// One app of the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Namespace of the App.
    pub namespace: String,
    /// Name of the App.
    pub name: String,
    /// Port to listen on, 1 to 65535.
    pub port: u16,
    /// As in an App.
    pub spec: AppSpec,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FileError {
    path: String,
    problem: String,
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, is no such list, or names an app or a port twice.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, FileError> {
    let failed = |problem| FileError {
        path: path.display().to_string(),
        problem,
    };
    let text = state_file::read_text(path, MOST_BYTES).map_err(|e| failed(e.to_string()))?;
    parse(&text).map_err(failed)
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> = yaml::from_str(text).map_err(|error| error.to_string())?;
    let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for entry in &entries {
        let Entry {
            namespace,
            name,
            port,
            ..
        } = entry;
        if !is_label(namespace) || !is_label(name) {
            return Err(format!(
                "`{namespace}/{name}`: a namespace and a name are of lower-case letters, digits and \
                 `-`, at most 63"
            ));
        }
        if *port == 0 {
            return Err(format!(
                "{namespace}/{name}: port 0; give one from 1 to 65535"
            ));
        }
        if !names.insert((namespace, name)) {
            return Err(format!("{namespace}/{name} is listed twice"));
        }
        if !ports.insert(port) {
            return Err(format!(
                "{namespace}/{name}: port {port} is another app's already"
            ));
        }
    }
    Ok(entries)
}

fn is_label(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_apps_is_read() {
        let text = "- {namespace: a, name: b, port: 8080, spec: {image: 'file:x.wasm'}}\n\
                    - {namespace: a, name: c, port: 8081, spec: {image: 'r.example/x:1', limits: {concurrency: 1}}}\n";
        let entries = parse(text).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].spec.image.as_deref(), Some("file:x.wasm"));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let entry = |name: &str, port: u16| {
            format!("- {{namespace: a, name: {name}, port: {port}, spec: {{image: x}}}}\n")
        };
        for (text, says) in [
            (entry("b", 1) + &entry("b", 2), "a/b is listed twice"),
            (entry("b", 1) + &entry("c", 1), "port 1 is another"),
            (entry("b", 0), "port 0"),
            (entry("../b", 1), "../b"),
            (entry("b", 1).replace("port", "prot"), "prot"),
            ("nonsense".to_owned(), "expected a sequence"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
