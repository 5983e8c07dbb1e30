//! Whole-cluster tests: a real API server, kubelets, kube-proxy, DNS and registry, three nodes, and
//! Shoal as its manifests install it.
//!
//! One test runs at a time: some take parts of the cluster away. Each brings back what it took.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod bad_guests;
mod blobs;
mod classes;
mod coexistence;
mod databases;
mod documents;
mod housekeeping;
mod isolation;
mod killed;
mod kubernetes_manners;
mod orphans;
mod outage;
mod ownership;
mod parts;
mod quiet;
mod refusal;
mod rollout;
mod serving;
mod sql;
mod store_classes;
mod stores;
mod told;
mod transfer;
mod trust;
mod variables;
mod without_api;
