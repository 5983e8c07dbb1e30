//! What a node is told to run, checked: every value here is within its bounds.

mod bounds;
mod parse;
mod variables;

use std::{fmt, net::IpAddr, time::Duration};

use shoal_crds::Interface;
use shoal_stores::StoreId;

pub use bounds::PortRange;
pub(crate) use parse::app_ref;
pub use parse::{InvalidAssignment, parse};
pub use shoal_artifact::Digest;
pub use variables::Variables;

/// Names an App. `uid` tells an App from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppRef {
    /// Namespace of the App.
    pub namespace: String,
    /// Name of the App.
    pub name: String,
    /// UID of the App object; empty where there is no cluster.
    pub uid: String,
}

impl fmt::Display for AppRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a node does for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Listens and answers.
    Serve,
    /// Answers what still arrives, and asks clients to connect anew elsewhere.
    Drain,
    /// Keeps the code on disk, listens on nothing.
    Standby,
}

/// One app as this node is to serve it.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Which app.
    pub app: AppRef,
    /// Hash of what runs.
    pub revision: String,
    /// Changes with anything in the assignment; reports echo it.
    pub generation: String,
    /// TCP port that this app alone listens on; 0 (never from an operator): one that is free.
    pub port: u16,
    /// Address to listen on; `None`: every address, of both families where there are two.
    pub listen_address: Option<IpAddr>,
    /// At least one, with distinct names.
    pub components: Vec<ComponentSpec>,
    /// Bounds on what the app may use on this node.
    pub limits: Limits,
    /// What to do.
    pub role: Role,
}

/// One component of an app.
#[derive(Clone)]
pub struct ComponentSpec {
    /// Unique within the app.
    pub name: String,
    /// Which code runs.
    pub digest: Digest,
    /// Routes in Spin's syntax; empty: no request from outside reaches it.
    pub routes: Vec<shoal_artifact::Route>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// What it reads as configuration.
    pub variables: Variables,
    /// Stores that it may open.
    pub stores: Vec<StoreBinding>,
}

/// Names of the environment and of variables, never a value.
impl fmt::Debug for ComponentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ComponentSpec")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .field("routes", &self.routes)
            .field("env", &env)
            .field("variables", &self.variables)
            .field("stores", &self.stores)
            .finish()
    }
}

/// Which Store a label of a component opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreBinding {
    /// Name that the guest uses, within its interface.
    pub label: String,
    /// What is behind it.
    pub interface: Interface,
    /// The Store's id.
    pub id: StoreId,
    /// Name of the class that says where the data is.
    pub class: String,
    /// On how many nodes it is used: this one may make that part of the class's operations. Not 0.
    pub nodes: u32,
}

/// Bounds on what an app may use on one node; none is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all instances together, in bytes.
    pub memory: u64,
    /// Linear memory of one instance, in bytes.
    pub instance_memory: u64,
    /// Requests at once.
    pub concurrency: u32,
    /// Bytes of a request's body.
    pub request_body: u64,
    /// Time from the request's head to the head of the response.
    pub response_start: Duration,
    /// Time without a byte either way.
    pub idle: Duration,
    /// Weight beside other apps: thousandths of a processor.
    pub cpu: u32,
}

impl From<shoal_crds::EffectiveLimits> for Limits {
    fn from(limits: shoal_crds::EffectiveLimits) -> Self {
        Self {
            memory: limits.memory,
            instance_memory: limits.instance_memory,
            concurrency: limits.concurrency,
            request_body: limits.request_body,
            response_start: limits.response_start,
            idle: limits.idle,
            cpu: limits.cpu,
        }
    }
}

impl Default for Limits {
    /// What holds for an App that says nothing.
    fn default() -> Self {
        shoal_crds::EffectiveLimits::default().into()
    }
}

/// A set of assignments, or changes to one.
#[derive(Clone, Debug, Default)]
pub struct Assignments {
    /// `true`: what is not listed (nor in `keep`) is to be stopped.
    pub full: bool,
    /// Apps to run, each as it is to be run, or why it cannot.
    pub set: Vec<Result<Assignment, InvalidAssignment>>,
    /// Apps to stop.
    pub removed: Vec<AppRef>,
    /// Apps to leave as they are.
    pub keep: Vec<AppRef>,
    /// Ed25519 public keys (32 bytes), any of which may have signed code; empty: as before.
    pub code_keys: Vec<Vec<u8>>,
}

impl Assignments {
    /// All that is to run: these apps and nothing else.
    pub fn all(apps: impl IntoIterator<Item = Assignment>) -> Self {
        Self {
            full: true,
            set: apps.into_iter().map(Ok).collect(),
            ..Self::default()
        }
    }

    /// Apps that are to run, also those that cannot.
    pub(crate) fn apps(&self) -> Vec<AppRef> {
        let name = |set: &Result<Assignment, InvalidAssignment>| match set {
            Ok(assignment) => assignment.app.clone(),
            Err(invalid) => invalid.app.clone(),
        };
        self.set.iter().map(name).collect()
    }
}
