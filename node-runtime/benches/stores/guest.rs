//! An app for each class, whose guest says how long its operations took.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::Value;
use shoal_runtime::stores::ClassDescription;
use shoal_stores::StoreId;

use crate::support::{TestNode, app_of_class, client::get};

/// Bytes of each value.
pub const VALUE: usize = 100;

pub struct Guests {
    _node: TestNode,
    apps: BTreeMap<String, (SocketAddr, StoreId)>,
}

impl Guests {
    pub async fn start(classes: Vec<ClassDescription>) -> Self {
        let node = TestNode::start();
        let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
        node.node.stores().replace(classes);
        let apps: [_; 4] = names.clone().try_into().unwrap();
        let apps = apps.map(|class| app_of_class(&class, "kv", &class));
        let stores = apps.each_ref().map(|app| app.components[0].stores[0].id);
        let addresses = node.serve(apps).await;
        let apps = names.into_iter().zip(addresses.into_iter().zip(stores));
        Self {
            apps: apps.collect(),
            _node: node,
        }
    }

    pub fn stores(&self) -> impl Iterator<Item = StoreId> {
        self.apps.values().map(|(_, store)| *store)
    }

    /// What the guest says of `count` operations, one after the other: nanoseconds.
    pub async fn times(&self, class: &str, operation: &str, prefix: &str, count: usize) -> Value {
        let (address, _) = self.apps[class];
        let path = format!("/times/{operation}/{prefix}/{count}/{VALUE}");
        let answer = get(address, &path).await;
        assert_eq!(answer.status, 200, "{class}: {path}: {}", answer.text());
        answer.json()
    }
}
