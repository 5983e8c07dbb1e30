//! What was written through the API server, by its own audit log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The audit log of a cluster: JSON lines of `audit.k8s.io/v1` Events, one a write.
///
/// A write is in it before its answer is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log: everything after it happened later. The default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(u64);

/// One request to create, update, patch or delete something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Who asked, such as `system:serviceaccount:shoal-system:shoal-operator`.
    pub user: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The resource, such as `services`; with the subresource as in `pods/status`.
    pub resource: String,
    /// The namespace; empty for what has none.
    pub namespace: String,
    /// The object's name; empty where the server chose it.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

/// Written all the time by components that only say they are alive, or that ask something.
const NOISE: [&str; 5] = [
    "leases",
    "events",
    "tokenreviews",
    "subjectaccessreviews",
    "serviceaccounts/token",
];

impl AuditLog {
    /// The log at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log ends now.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn mark(&self) -> Result<Mark> {
        let metadata = std::fs::metadata(&self.path).with_context(|| self.unreadable())?;
        Ok(Mark(metadata.len()))
    }

    /// The writes after `mark`, without those of Leases, Events, TokenReviews,
    /// SubjectAccessReviews and token requests.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn writes_since(&self, mark: Mark) -> Result<Vec<Write>> {
        let mut file = File::open(&self.path).with_context(|| self.unreadable())?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .with_context(|| self.unreadable())?;
        Ok(text
            .lines()
            .filter_map(parse)
            .filter(|write| !write.is_noise())
            .collect())
    }

    fn unreadable(&self) -> String {
        format!("cannot read the audit log {}", self.path.display())
    }
}

impl Write {
    fn is_noise(&self) -> bool {
        NOISE.contains(&self.resource.as_str())
    }
}

/// One line of the log; `None` for one that is still being written, and for what names no
/// object.
fn parse(line: &str) -> Option<Write> {
    let event: Event = serde_json::from_str(line).ok()?;
    let object = event.object?;
    let resource = match object.subresource {
        Some(subresource) => format!("{}/{subresource}", object.resource),
        None => object.resource,
    };
    Some(Write {
        verb: event.verb,
        user: event.user.username,
        group: object.group,
        resource,
        namespace: object.namespace,
        name: object.name,
        code: event.status.map_or(0, |status| status.code),
    })
}

#[derive(Deserialize)]
struct Event {
    verb: String,
    user: User,
    #[serde(rename = "objectRef")]
    object: Option<Object>,
    #[serde(rename = "responseStatus")]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    resource: String,
    subresource: Option<String>,
    #[serde(default, rename = "apiGroup")]
    group: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"kind":"Event","stage":"ResponseComplete","verb":"patch",
        "user":{"username":"system:node:node1","groups":["system:nodes"]},
        "objectRef":{"resource":"pods","namespace":"shop","name":"hello","apiVersion":"v1",
        "subresource":"status"},"responseStatus":{"metadata":{},"code":200}}"#;

    #[test]
    fn a_subresource_is_part_of_what_was_written() {
        let write = parse(&STATUS.replace('\n', "")).unwrap();
        assert_eq!(write.resource, "pods/status");
        assert_eq!((write.verb.as_str(), write.code), ("patch", 200));
        assert_eq!(write.group, "");
    }

    #[test]
    fn half_a_line_is_no_write() {
        assert_eq!(parse(&STATUS[..80]), None);
    }

    #[test]
    fn only_what_was_written_after_the_mark_counts_and_leases_do_not() {
        let path = std::env::temp_dir().join(format!("shoal-audit-{}", std::process::id()));
        let line = |resource: &str| {
            format!(
                "{{\"verb\":\"create\",\"user\":{{\"username\":\"u\"}},\
                 \"objectRef\":{{\"resource\":\"{resource}\"}}}}\n"
            )
        };
        std::fs::write(&path, line("pods")).unwrap();
        let log = AuditLog::at(path.clone());
        let mark = log.mark().unwrap();
        std::fs::write(
            &path,
            [line("pods"), line("leases"), line("services")].concat(),
        )
        .unwrap();
        let writes = log.writes_since(mark).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].resource, "services");
    }
}
