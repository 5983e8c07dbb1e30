//! The builder on real parts: registries that the tests start, compile children, a disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what the tests call must fail them"
)]

mod children;
mod cluster;
mod code;
mod hostile;
mod images;
mod limits;
mod pulling;
mod registry;
mod sandbox;
mod serving;
mod tokens;
mod waiting;

use std::path::Path;

use shoal_artifact::Digest;
use shoal_builder::{BuilderHandle, Options, Source};
use shoal_engine::EngineKey;

/// Options of a builder whose children are the real program.
fn options(folder: &Path) -> Options {
    Options {
        compile_program: Some(env!("CARGO_BIN_EXE_shoal-builder").into()),
        local_files: true,
        ..Options::new(folder)
    }
}

fn open(folder: &Path) -> BuilderHandle {
    BuilderHandle::open(options(folder)).unwrap()
}

fn host() -> EngineKey {
    EngineKey::host().unwrap()
}

/// A source of a local file with these bytes.
fn file(folder: &Path, bytes: &[u8]) -> Source {
    let path = folder.join(format!("{}.wasm", Digest::of(bytes).hex()));
    std::fs::write(&path, bytes).unwrap();
    Source::public(format!("file:{}", path.display()))
}
