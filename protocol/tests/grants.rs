//! Grants as they arrive from the operator's replicas.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod parts;

use parts::{NODE, Operator, POD, part, until};
use shoal_protocol::{
    Grants, Identity, Role,
    v1::{GrantSet, PodGrants},
};

fn set(epoch: u64, pod: &str, store: &str) -> GrantSet {
    let pod = PodGrants {
        pod_uid: pod.to_owned(),
        store_ids: vec![store.to_owned()],
        ..Default::default()
    };
    GrantSet {
        epoch,
        pods: vec![pod],
    }
}

#[tokio::test]
async fn grants_are_followed_and_remembered_while_the_operator_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grants");
    let operator = Operator::new();
    let serving = operator.serve();
    let store = part(
        &operator.authority(),
        &Identity::new(Role::Store, "", NODE, POD).unwrap(),
    );

    let grants = Grants::load(&file);
    assert!(!grants.table().allows_store("pod-a", "store-1"));
    tokio::spawn(grants.clone().follow(serving.address.to_string(), store));
    operator.grants.send_replace(set(1, "pod-a", "store-1"));
    until("the grant arrives", || {
        grants.table().allows_store("pod-a", "store-1")
    })
    .await;
    operator.grants.send_replace(set(2, "pod-a", "store-2"));
    until("the new set replaces the old", || {
        !grants.table().allows_store("pod-a", "store-1")
    })
    .await;
    assert!(grants.table().allows_store("pod-a", "store-2"));

    drop(serving);
    assert!(grants.table().allows_store("pod-a", "store-2"));
    until("a restarted part remembers", || {
        Grants::load(&file).table().allows_store("pod-a", "store-2")
    })
    .await;
}

#[tokio::test]
async fn waiting_for_a_grant_ends_when_it_comes() {
    let operator = Operator::new();
    let serving = operator.serve();
    let store = part(
        &operator.authority(),
        &Identity::new(Role::Store, "", NODE, POD).unwrap(),
    );
    let folder = tempfile::tempdir().unwrap();
    let grants = Grants::load(&folder.path().join("grants"));
    tokio::spawn(grants.clone().follow(serving.address.to_string(), store));
    let waiting = grants.allows_within(std::time::Duration::from_secs(180), |table| {
        table.allows_store("pod-a", "store-1")
    });
    operator.grants.send_replace(set(1, "pod-a", "store-1"));
    assert!(waiting.await);
    let short = std::time::Duration::from_millis(1);
    assert!(
        !grants
            .allows_within(short, |table| table.allows_store("pod-b", "store-1"))
            .await
    );
}
