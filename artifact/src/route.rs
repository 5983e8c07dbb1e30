//! Routes in Spin's syntax, and the table that finds the one for a path.

mod pattern;
mod table;

pub use pattern::{InvalidRoute, Route, Segment};
pub use table::{DuplicateRoute, RouteMatch, RouteTable};

/// The segments of a request's path: slashes at its start and end do not count, so `/a/` is `/a`
/// and `/` has none. What is between two slashes is a segment, also when it is empty.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let trimmed = path.trim_matches('/');
    let none = trimmed.is_empty();
    trimmed.split('/').filter(move |_| !none)
}
