//! A connection that is in use, and goes back to its pool only when told so.

use deadpool_postgres::{ClientWrapper, Object};

/// See the module. Dropped, it closes the connection, which may be in the midst of something.
pub(crate) struct Lease(Option<Object>);

impl Lease {
    pub(crate) fn new(connection: Object) -> Self {
        Self(Some(connection))
    }

    /// The connection; `None` once it was given back.
    pub(crate) fn client(&self) -> Option<&ClientWrapper> {
        self.0.as_deref()
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
