//! Code of as many components as are wanted: one guest, compiled once, under as many digests.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use shoal_engine::{EngineKey, signed_message};
use shoal_runtime::{Code, CodeSource, Digest, FetchError};

/// A builder that has compiled everything.
pub struct Compiled {
    code: Bytes,
    key: Ed25519KeyPair,
    pub away: AtomicBool,
}

/// What the `index`th component is known by.
pub fn digest(index: usize) -> Digest {
    Digest::of(format!("component {index}").as_bytes())
}

impl Compiled {
    /// Of the test guest `hello`.
    pub fn hello(key: &[u8]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let path = shoal_guests::path(root, "hello");
        let wasm = std::fs::read(&path).expect("run `cargo xtask guests`");
        let wasm = shoal_artifact::candidate::released(&wasm).unwrap_or(wasm);
        let config = shoal_engine::config(&EngineKey::host().unwrap()).unwrap();
        let engine = wasmtime::Engine::new(&config).unwrap();
        Self {
            code: engine.precompile_component(&wasm).unwrap().into(),
            key: Ed25519KeyPair::from_seed_unchecked(key).unwrap(),
            away: AtomicBool::new(false),
        }
    }

    pub fn public_key(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }

    pub fn bytes(&self) -> usize {
        self.code.len()
    }
}

#[async_trait]
impl CodeSource for Compiled {
    async fn fetch(&self, digest: &Digest, engine: &EngineKey) -> Result<Code, FetchError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(FetchError::Unavailable("it is away".into()));
        }
        let hash = Sha256::digest(&self.code).into();
        let message = signed_message(digest.as_str(), engine, &hash);
        let signature = self.key.sign(&message).as_ref().to_vec();
        Ok(Code::from_bytes(self.code.clone(), signature))
    }
}
