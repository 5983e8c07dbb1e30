//! What Shoal wrote to the API server, by its audit log.

use shoal_cluster::Mark;

use crate::{SYSTEM, cluster};

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
