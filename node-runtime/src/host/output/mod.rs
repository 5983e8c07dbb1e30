//! What guests print: whole lines, each a record that names the app, component and request.
//!
//! An app that prints more than its share loses lines, and the log says how many.

mod lines;
mod rate;
mod stream;
mod writer;

use serde::Serialize;

pub use rate::OutputBudget;
pub(super) use stream::GuestOutput;
pub use writer::JsonLines;

/// Where guests' lines go.
pub trait OutputSink: Send + Sync + 'static {
    /// Takes a record without waiting; `false` if it could not be taken.
    fn line(&self, record: &OutputRecord<'_>) -> bool;
}

/// One line that a guest printed.
#[derive(Clone, Debug, Serialize)]
pub struct OutputRecord<'a> {
    /// Milliseconds since the Unix epoch.
    pub time: u64,
    /// Namespace of the App.
    pub namespace: &'a str,
    /// Name of the App.
    pub app: &'a str,
    /// Name of the component.
    pub component: &'a str,
    /// Id of the request that the guest was answering.
    pub request: &'a str,
    /// Where it was printed to.
    pub stream: Stream,
    /// The line, without its end; what is no UTF-8 is replaced.
    pub message: &'a str,
    /// Lines of this app that were dropped before this one, because there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which of a guest's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}
