//! What a person would want to know.

/// An Event about an App. The caller throttles: a plan names it each time it sees the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppEvent {
    /// Whether something is wrong.
    pub type_: EventType,
    /// CamelCase, of the list of `shoal_crds::Reason`.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// Type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Good news.
    Normal,
    /// Something is wrong.
    Warning,
}
