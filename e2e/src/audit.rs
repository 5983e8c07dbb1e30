//! What Shoal wrote to the API server, by its audit log.

use std::time::{Duration, Instant};

use shoal_cluster::Mark;

use crate::{LONG, SYSTEM, cluster, eventually};

/// A place in the audit log, to ask what Shoal wrote since.
#[derive(Debug)]
pub struct Writes {
    from: Mark,
}

impl Writes {
    /// From now on.
    ///
    /// # Panics
    /// The audit log cannot be read.
    pub fn from_now() -> Self {
        Self {
            from: cluster()
                .audit_log()
                .mark()
                .expect("the audit log is there"),
        }
    }

    /// As [`Writes::by_shoal`], of one namespace: what other tests left behind goes on in theirs.
    ///
    /// # Panics
    /// The audit log cannot be read.
    pub fn in_namespace(&self, namespace: &str) -> Vec<String> {
        let mut writes = self.by_shoal();
        let within = format!(" {namespace}/");
        writes.retain(|write| write.contains(&within));
        writes
    }

    /// Writes by Shoal's own service accounts since, as `verb resource namespace/name`.
    ///
    /// Not counted: Leases, TokenReviews, SubjectAccessReviews and Events.
    ///
    /// # Panics
    /// The audit log cannot be read.
    pub fn by_shoal(&self) -> Vec<String> {
        let user = format!("system:serviceaccount:{SYSTEM}:shoal-");
        let writes = cluster()
            .audit_log()
            .writes_since(self.from)
            .expect("the audit log is there");
        writes
            .into_iter()
            .filter(|write| write.user.starts_with(&user))
            .map(|w| format!("{} {} {}/{}", w.verb, w.resource, w.namespace, w.name))
            .collect()
    }
}

/// What comes late is written within this: the status of nodes alone at most every 10 s.
const QUIET: Duration = Duration::from_secs(12);

/// Lets what is under way come to its end: until Shoal has written nothing for a while.
///
/// # Panics
/// It goes on writing.
pub fn settled() {
    let mut since = Writes::from_now();
    let mut quiet = Instant::now();
    eventually("twelve seconds without a write", LONG, || {
        if !since.by_shoal().is_empty() {
            since = Writes::from_now();
            quiet = Instant::now();
        }
        quiet.elapsed() >= QUIET
    });
}
