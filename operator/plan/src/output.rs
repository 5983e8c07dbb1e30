//! What a plan says.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::{AppEvent, AppKey, AppRef, Assignment, Question, Write};

/// What is to be done for one App, or one StoreClass.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Questions to the builder that are open.
    pub ask: Vec<Question>,
    /// Requests to the API server, in order.
    pub writes: Vec<Write>,
    /// What people would want to know.
    pub events: Vec<AppEvent>,
    /// What each pod that has, or had, to do with the App is to do. Complete: a pod that is not named has
    /// nothing to do with the App, and never had. The caller sends what differs from what it sent last.
    pub instructions: Vec<PodInstruction>,
    /// uids of the pods whose grants this plan changed; see [`crate::Index::pod_grants`].
    pub grants_changed: BTreeSet<Arc<str>>,
    /// When to plan again even if nothing happens.
    pub recheck_at: Option<Timestamp>,
}

impl Plan {
    /// Plans again at `at` or earlier.
    pub(crate) fn recheck(&mut self, at: Timestamp) {
        self.recheck_at = Some(self.recheck_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// What one pod is to do with an App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodInstruction {
    /// uid of the runtime pod.
    pub pod: Arc<str>,
    /// The App; after one was deleted and made again, the old and the new are told apart here.
    pub app: AppRef,
    /// What to do.
    pub instruction: Instruction,
}

/// What a pod is to do with an App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Do this.
    Assign(Arc<Assignment>),
    /// Leave it as it is: what it is made of is not known (yet).
    Keep,
    /// Stop it.
    Stop,
}

/// All that a node is to run: a full `shoal.v1.Assignments`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAssignments {
    /// What it is to do.
    pub set: Vec<Arc<Assignment>>,
    /// What it is to leave as it is.
    pub keep: Vec<AppRef>,
}

/// What one runtime pod may open and fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodGrants {
    /// Ids of Stores whose data is in the store pod.
    pub store_ids: BTreeSet<String>,
    /// Ids of Stores that it may have open and whose data is elsewhere.
    pub held_store_ids: BTreeSet<String>,
    /// Component digests.
    pub digests: BTreeSet<String>,
}

/// Apps and StoreClasses whose plans a change touches.
pub(crate) type Dirty = BTreeSet<AppKey>;
