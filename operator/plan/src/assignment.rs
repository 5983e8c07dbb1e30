//! What a runtime is told about one app: the same as `shoal.v1.Assignment`, without the wire.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{AppRef, hash};

/// One app as one node is to serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assignment {
    /// The app.
    pub app: AppRef,
    /// Hash of what runs.
    pub revision: String,
    /// Hash of everything else here; reports echo it.
    pub generation: String,
    /// TCP port of this app, on every node.
    pub port: u16,
    /// What runs, in the order of the artifact.
    pub components: Vec<Component>,
    /// Bounds on the app.
    pub limits: Limits,
    /// What the node does with it.
    pub role: Role,
}

/// What a node does with an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Role {
    /// Listens and answers.
    Serve,
    /// Keeps answering what still arrives: the endpoint is leaving or has left the Service.
    Drain,
}

/// One component of an app.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Unique in the app.
    pub name: String,
    /// `sha256:<64 hex>` of the component as compiled.
    pub digest: String,
    /// Spin's route syntax.
    pub routes: Vec<String>,
    /// Environment of its guests.
    pub env: BTreeMap<String, String>,
    /// What its guests read as configuration.
    pub variables: BTreeMap<String, String>,
    /// Stores that it opens.
    pub stores: Vec<StoreBinding>,
}

/// Names of the environment and of variables, never a value.
impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .field("routes", &self.routes)
            .field("env", &self.env.keys())
            .field("variables", &self.variables.keys())
            .field("stores", &self.stores)
            .finish()
    }
}

/// Which Store a label opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreBinding {
    /// The name that guests open, within the interface.
    pub label: String,
    /// `KeyValue`, `Sql` or `Blob`.
    pub interface: String,
    /// The Store's `spec.id`.
    pub store_id: String,
    /// Name of its class.
    pub class: String,
    /// On how many nodes apps use the Store, where its class limits operations; else 0.
    pub nodes: u32,
}

/// Bounds on an app. Sizes in bytes, times in milliseconds; none is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Memory of all instances on a node.
    pub memory_bytes: u64,
    /// Memory of one instance.
    pub instance_memory_bytes: u64,
    /// Requests at once on a node.
    pub concurrency: u32,
    /// Size of a request's body.
    pub request_body_bytes: u64,
    /// Time until the response begins.
    pub response_start_ms: u64,
    /// Time in which no byte moves.
    pub idle_ms: u64,
    /// Weight beside other apps.
    pub cpu_millis: u32,
}

impl Limits {
    /// What holds for an App that says `limits`.
    pub(crate) fn of(limits: Option<&shoal_crds::Limits>) -> Self {
        let limits = shoal_crds::Limits::effective(limits);
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            memory_bytes: limits.memory,
            instance_memory_bytes: limits.instance_memory,
            concurrency: limits.concurrency,
            request_body_bytes: limits.request_body,
            response_start_ms: ms(limits.response_start),
            idle_ms: ms(limits.idle),
            cpu_millis: limits.cpu,
        }
    }
}

impl Assignment {
    /// The same with `generation` computed from the rest.
    pub(crate) fn sealed(mut self) -> Self {
        self.generation = String::new();
        self.generation = hash::of_json(&self);
        self
    }

    /// The same app in another role.
    pub(crate) fn with_role(&self, role: Role) -> Self {
        Self {
            role,
            ..self.clone()
        }
        .sealed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment() -> Assignment {
        Assignment {
            app: AppRef {
                namespace: "shop".into(),
                name: "hello".into(),
                uid: "u".into(),
            },
            revision: "r".into(),
            generation: "left over".into(),
            port: 10_000,
            components: Vec::new(),
            limits: Limits::of(None),
            role: Role::Serve,
        }
        .sealed()
    }

    #[test]
    fn the_generation_changes_with_anything_in_it_and_with_nothing_else() {
        let first = assignment();
        assert_eq!(first, assignment());
        assert_eq!(first.clone().sealed(), first);
        assert_ne!(first.with_role(Role::Drain).generation, first.generation);
        assert_eq!(first.with_role(Role::Drain).with_role(Role::Serve), first);
        let mut other = first.clone();
        other.limits.idle_ms += 1;
        assert_ne!(other.sealed().generation, first.generation);
    }
}
