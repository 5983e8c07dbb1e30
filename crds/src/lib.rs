//! The API `shoal.dev/v1alpha1`: the kinds `App`, `Store`, `StoreClass` and `RuntimePool`.
//!
//! And what of the API `runtime.shoal.dev/v1alpha1` is more than an object.
//!
//! Types, their schemas and the words of their status. No I/O. `cargo xtask crds` writes
//! [`manifest`] to `manifests/crds.yaml`.

pub mod app;
pub mod app_status;
pub mod app_stores;
pub mod conditions;
pub mod configuration;
pub mod cpu;
mod generate;
pub mod limits;
pub mod quantity;
mod reference;
pub mod runtime_api;
pub mod runtime_pool;
pub mod service;
pub mod store;
pub mod store_class;
mod validation;
pub mod values;
pub mod yaml;

pub use app::{App, AppSpec, Component, LocalObjectReference};
pub use app_status::{AppStatus, NodeStatus, StoreStatusEntry, Summary};
pub use app_stores::AppStore;
pub use conditions::{Condition, ConditionStatus, ConditionType, Reason};
pub use configuration::{
    EnvFromSource, EnvVar, KeySelector, ObjectSelector, SourceKind, ValueSource, Variable,
};
pub use cpu::{CpuQuantity, InvalidCpu};
pub use generate::manifest;
pub use limits::{EffectiveLimits, Limits};
pub use quantity::{ByteQuantity, Period};
pub use reference::conditions_page;
pub use runtime_api::{
    Adoption, Imported, JSON_LINES, Line, RUNTIME_GROUP, RUNTIME_VERSION, StoreOrphan,
    StoreOrphanList,
};
pub use runtime_pool::{Registries, RuntimePool, RuntimePoolSpec};
pub use service::{IpFamilyPolicy, ServiceSpec, ServiceType};
pub use store::{Interface, ReclaimPolicy, Store, StoreSpec, StoreStatus};
pub use store_class::{
    Backend, DefaultClass, StoreClass, StoreClassLimits, StoreClassSpec, StoreClassStatus,
    Unbindable, default_class, may_bind,
};

/// API group of every kind here.
pub const GROUP: &str = "shoal.dev";
/// API version of every kind here.
pub const VERSION: &str = "v1alpha1";
/// Namespace that Shoal's own parts run in.
pub const SYSTEM_NAMESPACE: &str = "shoal-system";
/// Field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "shoal-operator";
/// `managed-by` of our EndpointSlices. A label value: no `/` may be in it.
pub const SLICE_MANAGER: &str = "operator.shoal.dev";
/// The pool that exists without being declared.
pub const DEFAULT_POOL: &str = "default";
/// The class that exists without being declared.
pub const EMBEDDED_CLASS: &str = "embedded";
/// Finalizer of a StoreClass that Stores name.
pub const CLASS_FINALIZER: &str = "shoal.dev/in-use";
/// Finalizer of a Store whose data goes with it.
pub const DATA_FINALIZER: &str = "shoal.dev/data";
