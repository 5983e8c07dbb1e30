//! What an app is made of: the formats it comes in, what its components export and import, and how
//! artifacts are written.
//!
//! Pure: bytes in, descriptions or refusals out. Only [`local`] reads files, of a path that the
//! caller names. Whatever is read here comes from outside and is bounded (see [`limits`]).

pub mod candidate;
pub mod container;
pub mod digest;
pub mod inspect;
pub mod interfaces;
pub mod limits;
pub mod local;
pub mod oci;
pub mod outbound;
pub mod plan;
pub mod refusal;
pub mod route;
pub mod spin;
pub mod variables;
pub mod write;

pub use digest::Digest;
pub use inspect::{ComponentFacts, inspect};
pub use plan::{AppPlan, ComponentPlan, WasmSource};
pub use refusal::{Reason, Refusal};
pub use route::{Route, RouteMatch, RouteTable};
