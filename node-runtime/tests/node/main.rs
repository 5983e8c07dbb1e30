//! A node as its users see it: real guests, real code, real sockets on the loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod blob_failures;
mod blobstore;
mod code;
mod configuration;
mod connections;
mod hostile;
mod interfaces;
mod key_value;
mod limits;
mod mapping;
mod output;
mod processor;
mod revisions;
mod serving;
mod sqlite;
mod sqlite_v3;
mod store_classes;
mod store_failures;
mod store_limits;
mod store_servers;
mod support;
mod wasi03;
