//! What is, and what is to be done about it: the operator's index and its planner.
//!
//! Synchronous, and without a Kubernetes client, a clock or randomness: time comes in as an argument, ids and
//! connections are left to the caller.
//!
//! ```text
//!  watches ──apply_*/delete_*──▶ ┌───────┐ ──take_dirty──▶ keys of Apps to look at again
//!  runtime streams ──runtime_*─▶ │ Index │
//!  builder ──resolved/built────▶ └───────┘ ◀─plan(index, key, now)─▶ Plan
//!                                                │
//!      ask ────────▶ builder (the caller asks each question once at a time and brings the answer back)
//!      writes ─────▶ write queue (a later Plan of the same App replaces an earlier one)
//!      instructions▶ streams of the runtimes named, and [`Index::node_assignments`] for one that (re)connects
//!      grants ─────▶ [`Index::pod_grants`] of the pods named, to store and builder, and [`Index::pod_classes`] to them
//!      recheck_at ─▶ plan this App again then, also if nothing happens
//! ```
//!
//! The caller's side of the contract:
//! 1. Feed the complete initial lists of every watch before the first [`plan()`].
//! 2. Call [`Index::lead`] when this replica becomes the leader, then plan every key that
//!    [`Index::take_dirty`] gives, again and again. Standbys feed their index all the same, and do not plan.
//! 3. While leading, read every object of [`Index::value_sources`] again and again, and bring what came of
//!    it back with [`Index::value_source_read`].
//! 4. After a round of plans write [`Index::ports_to_reserve`], if any, and report it with
//!    [`Index::ports_reserved`].
//! 5. Feed what the API server answered to a write back through `apply_*` (an older version of an object
//!    never replaces a newer one), so that the next plan does not repeat it.
//!
//! StoreClasses are planned as Apps are, by keys without a namespace.
//!
//! A plan of an App for which nothing is to change has no writes, also right after a restart.

mod assignment;
mod bounds;
mod builder;
mod class;
mod configuration;
mod endpoint;
mod event;
mod hash;
mod image;
mod index;
mod key;
mod output;
mod placement;
mod plan;
mod port;
mod revision;
mod service;
mod slice;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub use assignment::{Assignment, Component, Limits, Role, StoreBinding};
pub use builder::{ComponentDescription, Description, Label, Question, Refusal};
pub use event::{AppEvent, EventType};
pub use index::{
    AppReport, Built, ClassHealth, CredentialFault, Hello, Index, ReportState, RuntimePod,
    STORE_CLAIM, SourceRead, SourceRef, StoreDuty, StoreUsage, Watched,
};
pub use key::{AppKey, AppRef, ObjectKey};
pub use output::{Instruction, NodeAssignments, Plan, PodGrants, PodInstruction};
pub use plan::plan;
pub use port::{PORT_RECORD_NAME, PORTS, PortRecord};
pub use store::{may_make_store, store_name};
pub use write::{Priority, Write, WriteAction};
