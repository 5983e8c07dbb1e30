//! A connection that is in use, and goes back to its pool only when told so.

use std::time::Duration;

use deadpool::managed::Object;

use super::{opener::Opener, session::Session};

/// See the module. Dropped, it closes the connection, which may be in the midst of something.
pub(crate) struct Lease(Option<Object<Opener>>);

impl Lease {
    pub(crate) fn new(connection: Object<Opener>) -> Self {
        Self(Some(connection))
    }

    /// The connection; `None` once it was given back.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.0.as_deref()
    }

    /// How long ago the connection was made.
    pub(crate) fn age(&self) -> Duration {
        let metrics = self.0.as_ref().map(Object::metrics);
        metrics.map_or(Duration::MAX, deadpool::managed::Metrics::age)
    }

    /// Gives the connection back, for others to use.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
