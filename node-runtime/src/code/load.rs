//! The one place where bytes become executable.

#![allow(
    unsafe_code,
    reason = "compiled code can only be loaded by an unsafe function"
)]

use std::os::fd::AsRawFd;

use wasmtime::{Engine, component::Component};

use super::file::VerifiedFile;

/// Maps the code of a file whose signature was checked.
///
/// # Errors
/// The code is for another engine, or memory for its map is refused.
pub(super) fn component(engine: &Engine, file: &VerifiedFile) -> wasmtime::Result<Component> {
    // Through the descriptor that was verified, not through a name that might be another file now.
    let path = format!("/proc/self/fd/{}", file.descriptor().as_raw_fd());
    // SAFETY: `deserialize_file` demands bytes that `Engine::precompile_component` made and that do
    // not change while they are mapped. A `VerifiedFile` exists only for bytes whose signature by a
    // builder that the operator vouches for was checked through this very descriptor; the builder
    // signs nothing but its compiler's output. The file is a regular one, owned by this user and
    // writable by nobody else, and this process replaces such files but never writes into one.
    unsafe { Component::deserialize_file(engine, path) }
}
