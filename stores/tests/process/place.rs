//! Where a `shoal-store` runs: a folder, and an operator that signs for it and grants a pod some Stores.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use shoal_protocol::{
    Identity, LiveIdentity, Role,
    v1::{GrantSet, PodGrants},
};
use shoal_stores::StoreId;

use crate::{
    parts::{NODE, Operator, POD, Serving, part, runtime_identity, until},
    store_process::{Process, free_address},
};

/// See the module.
pub(crate) struct Place {
    pub(crate) operator: Arc<Operator>,
    folder: PathBuf,
    serving: Serving,
}

impl Place {
    /// In a folder that is there; the store's data will be in `data` in it.
    pub(crate) fn new(folder: &Path) -> Self {
        let operator = Operator::new();
        *operator.identity.lock().unwrap() =
            Identity::new(Role::Store, "", NODE, "store-0").unwrap();
        fs::write(
            folder.join("ca.crt"),
            operator.authority().certificate_pem(),
        )
        .unwrap();
        fs::write(folder.join("token"), "good").unwrap();
        Self {
            serving: operator.serve(),
            operator,
            folder: folder.to_owned(),
        }
    }

    /// The runtime may open these Stores, and no others.
    pub(crate) fn grant(&self, stores: &[StoreId]) {
        let pod = PodGrants {
            pod_uid: POD.to_owned(),
            store_ids: stores.iter().map(StoreId::to_string).collect(),
            ..Default::default()
        };
        self.operator.grants.send_replace(GrantSet {
            epoch: 7,
            pods: vec![pod],
        });
    }

    /// A process at an address; returns when it is ready.
    pub(crate) async fn start(&self, grpc: SocketAddr) -> Process {
        let process = Process::start(
            env!("CARGO_BIN_EXE_shoal-store").as_ref(),
            &self.folder,
            self.serving.address,
            grpc,
            free_address(),
            &[],
        );
        until("the store is ready", || process.is_ready()).await;
        process
    }

    /// The runtime that calls it.
    pub(crate) fn runtime(&self) -> LiveIdentity {
        part(&self.operator.authority(), &runtime_identity())
    }
}
