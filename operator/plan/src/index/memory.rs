//! What the planner decided for an App and has to remember.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{Instruction, configuration::Settings, endpoint::Flaps, revision::Content};

/// Decisions for one App since this replica leads. Without it the same is decided again, but for timers, which
/// begin anew.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The App was planned since this replica leads.
    pub(crate) planned: bool,
    /// The last content whose stores were all bound: what is to run, or goes on running.
    pub(crate) content: Option<Arc<Content>>,
    /// The last environment and variables that were all there.
    pub(crate) settings: Option<Arc<Settings>>,
    /// What each pod was told; never `Stop`.
    pub(crate) instructions: BTreeMap<Arc<str>, Instruction>,
    /// Pods that the App is leaving.
    pub(crate) drains: BTreeMap<Arc<str>, Drain>,
    /// Pods on which the App answers, or does not, by turns.
    pub(crate) flaps: BTreeMap<Arc<str>, Flaps>,
    /// When the App first answered on a node while no slice had an endpoint.
    pub(crate) first_answer_at: Option<Timestamp>,
    /// When slices of an earlier Service of the name were first seen.
    pub(crate) orphans_since: Option<Timestamp>,
    /// Since when the wanted status differs from the written one by progress alone.
    pub(crate) status_held_since: Option<Timestamp>,
    /// When a plan last had a status to write.
    pub(crate) status_written_at: Option<Timestamp>,
}

/// How far an App has left a pod, as the slices show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drain {
    /// When a slice first showed the endpoint as terminating.
    pub(crate) terminating_since: Option<Timestamp>,
    /// When no slice showed it any more.
    pub(crate) gone_since: Option<Timestamp>,
}
