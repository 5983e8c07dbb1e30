//! Settings of the whole process, made before anything else runs in it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::allocator;

/// Makes room for thousands of apps: as many open files as the process may have (the soft limit is made for programs
/// that use `select`, and every app, connection and file of code takes one), and few heaps.
pub fn set_up() {
    allocator::share_heaps();
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
