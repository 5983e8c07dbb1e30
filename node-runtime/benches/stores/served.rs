//! The process `shoal-store` behind mutual TLS, as in a cluster.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use shoal_protocol::{
    Identity, Role,
    v1::{GrantSet, PodGrants},
};
use shoal_stores::{Backend, Remote, StoreId};

use crate::{
    parts::{self, NODE, Operator, POD, Serving, part, until},
    store_process::{Process, free_address},
};

pub struct Served {
    operator: Arc<Operator>,
    address: SocketAddr,
    _serving: Serving,
    _process: Process,
}

impl Served {
    /// Starts `program` with its files in `folder`.
    pub async fn start(program: &Path, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let operator = Operator::new();
        *operator.identity.lock().unwrap() =
            Identity::new(Role::Store, "", NODE, "store-0").unwrap();
        let authority = operator.authority();
        fs::write(folder.join("ca.crt"), authority.certificate_pem()).unwrap();
        fs::write(folder.join("token"), "good").unwrap();
        let serving = operator.serve();
        let (address, metrics) = (free_address(), free_address());
        let process = Process::start(program, folder, serving.address, address, metrics, &[]);
        until("the store is ready", || process.is_ready()).await;
        Self {
            operator,
            address,
            _serving: serving,
            _process: process,
        }
    }

    /// Lets the runtime open one more Store.
    pub fn grant(&self, store: StoreId) {
        self.operator.grants.send_modify(|grants| {
            grants.epoch += 1;
            let mut pods = std::mem::take(&mut grants.pods);
            let mut pod = pods.pop().unwrap_or_else(|| PodGrants {
                pod_uid: POD.to_owned(),
                ..PodGrants::default()
            });
            pod.store_ids.push(store.to_string());
            *grants = GrantSet {
                pods: vec![pod],
                ..grants.clone()
            };
        });
    }

    /// Its stores, as a runtime reaches them.
    pub fn runtime(&self) -> Arc<dyn Backend> {
        let identity = part(&self.operator.authority(), &parts::runtime_identity());
        Arc::new(Remote::new(&self.address.to_string(), &identity).unwrap())
    }
}
