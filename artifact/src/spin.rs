//! Spin apps: the manifest `spin.toml` and the locked app that is made from it.

pub mod locked;
pub mod manifest;
mod require;
