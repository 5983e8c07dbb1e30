//! Hosts the apps of a node: fetches and verifies their compiled code, listens on a port for each,
//! and answers every request with a fresh instance, within the app's limits.
//!
//! There is no compiler in here. Code is made by the builder and comes through a [`CodeSource`].
//!
//! # As a library
//! [`Node`] serves apps from whatever source of assignments and code: the cluster's control stream,
//! a file, or a program of its own.
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use shoal_runtime::{Assignment, Assignments, CodeSource, Node, NodeConfig, StoreClasses};
//! use shoal_stores::{
//!     Embedded, EmbeddedBlobs, EmbeddedSql, Memory,
//!     embedded::{Durability, EmbeddedOptions},
//!     memory::MemoryOptions,
//! };
//!
//! # async fn example(
//! #     code: Arc<dyn CodeSource>,
//! #     public_key: Vec<u8>,
//! #     app: Assignment,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! // Within a tokio runtime; guests run on threads of the node's own.
//! let embedded = Embedded::open(".shoal/stores".as_ref(), EmbeddedOptions::default())?;
//! let memory = Memory::new(MemoryOptions::default());
//! let sql = EmbeddedSql::open(".shoal/sql".as_ref(), Durability::Full)?;
//! let blobs = EmbeddedBlobs::open(".shoal/blobs".as_ref(), Durability::Full)?;
//! let stores = StoreClasses::new(
//!     Arc::new(embedded),
//!     Arc::new(memory),
//!     Arc::new(sql),
//!     Arc::new(blobs),
//! );
//! let node = Node::start(NodeConfig::new(".shoal".into())?, code, stores)?;
//! // All that is to run. Applying another set changes what runs; requests under way end first.
//! let assignments = Assignments { code_keys: vec![public_key], ..Assignments::all([app]) };
//! node.apply(assignments);
//! let mut reports = node.reports();
//! let changes = reports.changed().await;
//! for report in changes.reports {
//!     println!("{} {:?} {:?} {}", report.app, report.state, report.address, report.message);
//! }
//! node.shutdown(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Without Kubernetes
//! [`local`] has the pieces of `--assignments FILE`: [`local::LocalBuilder`] starts the builder as a
//! child process and is a [`CodeSource`]; [`local::assignment`] makes an [`Assignment`] of an App's spec.

mod allocator;
mod app;
pub mod assignment;
pub mod code;
pub mod control;
mod engine;
pub mod health;
mod host;
mod listener;
pub mod local;
mod metrics;
mod node;
pub mod process;
mod report;
mod serve;
pub mod stores;
mod turns;

pub use assignment::{
    AppRef, Assignment, Assignments, ComponentSpec, Digest, InvalidAssignment, Limits, Role,
    StoreBinding, Variables,
};
pub use code::{Code, CodeSource, FetchError, RemoteCode};
pub use engine::EngineError;
pub use host::output::{JsonLines, OutputRecord, OutputSink, Stream};
pub use node::{Node, NodeConfig, StartError};
pub use report::{AppReport, Changes, ReportReader, State};
pub use stores::StoreClasses;
