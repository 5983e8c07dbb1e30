//! What runtimes say.

use crate::AppRef;

/// First words of a runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// What compiled code must have been made for.
    pub engine_key: String,
}

/// What a runtime says about one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppReport {
    /// The app.
    pub app: AppRef,
    /// Generation of the assignment that this speaks of.
    pub generation: String,
    /// Revision whose code answers requests now; empty: none.
    pub serving_revision: String,
    /// State of that assignment.
    pub state: ReportState,
    /// CamelCase; empty when all is well.
    pub reason: String,
    /// What is wrong.
    pub message: String,
}

/// State of an assignment on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportState {
    /// Under way; an earlier revision may answer.
    Fetching,
    /// Done.
    Ready,
    /// Kept warm, answers nothing.
    Standby,
    /// It cannot be; an earlier revision may answer.
    Failed,
}

impl AppReport {
    /// The same with texts as long as they are of use.
    pub(super) fn bounded(mut self) -> Self {
        let texts = [
            (&mut self.generation, 64),
            (&mut self.serving_revision, 64),
            (&mut self.reason, 128),
            (&mut self.message, 1024),
        ];
        for (text, length) in texts {
            text.truncate(text.floor_char_boundary(length));
            text.shrink_to_fit();
        }
        self
    }

    /// Whether the app answers on that node, by whichever revision.
    pub(crate) fn answers(&self) -> bool {
        !self.serving_revision.is_empty() && self.state != ReportState::Standby
    }
}
