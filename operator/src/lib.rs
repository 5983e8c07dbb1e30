//! The operator: watches the cluster, plans, writes, and streams assignments to the runtimes.
//!
//! Watches and streams feed a synchronous index (crate `shoal-plan`). The planner says what is wanted for each App
//! that changed; one queue writes the difference to the API server under a budget, and the streams carry the rest to
//! the nodes. This crate is all of the I/O and none of the decisions. [`run`] wires it together.
//!
//! ```text
//!  watch ──▶ world (index) ◀── streams::control (runtimes' reports)
//!  values ─────▲
//!               │   ▲
//!            planner│ answers
//!   ┌───────────┼───┴────────┬─────────────────┐
//!   ▼           ▼            ▼                 ▼
//!  events    write      builder_client     dispatch ──▶ streams::grants, then streams::hub
//! ```

pub mod api;
mod api_error;
pub mod args;
pub mod builder_client;
pub mod ca;
pub mod certificates;
pub mod classes;
pub mod daemonset;
pub mod dispatch;
pub mod events;
pub mod health;
pub mod housekeeping;
pub mod lease;
pub mod metrics;
pub mod notices;
pub mod planner;
pub mod pods;
pub mod ports;
pub mod run;
pub mod streams;
pub mod timers;
pub mod values;
pub mod watch;
pub mod world;
pub mod write;
