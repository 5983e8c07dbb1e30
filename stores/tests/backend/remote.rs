//! A `shoal-store` over gRPC: each Store is granted to one pod alone.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use shoal_protocol::Role;
use shoal_stores::{KeyValue, Remote, StoreId};

use super::{Backend, Opened, served::Served};

struct OverGrpc {
    in_memory: bool,
}

pub async fn start() -> Result<Box<dyn Backend>, String> {
    Ok(Box::new(OverGrpc { in_memory: false }))
}

/// The same, of backend `memory`.
pub async fn start_in_memory() -> Result<Box<dyn Backend>, String> {
    Ok(Box::new(OverGrpc { in_memory: true }))
}

#[async_trait]
impl Backend for OverGrpc {
    async fn open(&self, ids: &[StoreId]) -> Box<dyn Opened> {
        let pods: Vec<_> = ids.iter().map(|id| (format!("pod-{id}"), [*id])).collect();
        let grants: Vec<_> = pods
            .iter()
            .map(|(pod, id)| (pod.as_str(), &id[..]))
            .collect();
        let mut pods = Pods {
            served: Served::start(&grants),
            ids: ids.to_vec(),
            remotes: HashMap::new(),
            in_memory: self.in_memory,
        };
        pods.connect();
        Box::new(pods)
    }
}

struct Pods {
    served: Served,
    ids: Vec<StoreId>,
    remotes: HashMap<StoreId, Arc<Remote>>,
    in_memory: bool,
}

impl Pods {
    fn part(&self, role: Role, pod: &str) -> Arc<Remote> {
        let remote = self.served.part(role, pod);
        Arc::new(match self.in_memory {
            true => remote.in_memory(),
            false => remote,
        })
    }

    fn connect(&mut self) {
        self.remotes = self
            .ids
            .iter()
            .map(|id| (*id, self.part(Role::Runtime, &format!("pod-{id}"))))
            .collect();
    }
}

#[async_trait]
impl Opened for Pods {
    fn of(&self, id: StoreId) -> Arc<dyn KeyValue> {
        self.remotes[&id].clone()
    }

    fn for_operator(&self, _: StoreId) -> Arc<dyn KeyValue> {
        self.part(Role::Operator, "operator")
    }

    async fn reopen(&mut self) {
        self.connect();
    }
}
