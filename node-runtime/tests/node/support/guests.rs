//! The test guests, compiled once for all tests, signed and served as the builder does it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use shoal_engine::{EngineKey, signed_message};
use shoal_runtime::{Code, CodeSource, Digest, FetchError};

/// Digest of a guest's component.
pub fn digest(guest: &str) -> Digest {
    Digest::of(&component(guest))
}

fn component(guest: &str) -> Bytes {
    static READ: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap();
    let bytes = read.entry(guest.to_owned()).or_insert_with(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let path = shoal_guests::path(root, guest);
        let read = std::fs::read(&path);
        let wasm =
            read.unwrap_or_else(|e| panic!("{}: {e}; run `cargo xtask guests`", path.display()));
        shoal_artifact::candidate::released(&wasm)
            .unwrap_or(wasm)
            .into()
    });
    bytes.clone()
}

fn compiled(guest: &str) -> Bytes {
    static COMPILED: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    let code = compiled.entry(guest.to_owned()).or_insert_with(|| {
        let config = shoal_engine::config(&EngineKey::host().unwrap()).unwrap();
        let engine = wasmtime::Engine::new(&config).unwrap();
        engine
            .precompile_component(&component(guest))
            .unwrap()
            .into()
    });
    code.clone()
}

/// A source of code that the tests can break.
pub struct Guests {
    key: Ed25519KeyPair,
    known: Mutex<HashMap<Digest, String>>,
    pub fetches: AtomicUsize,
    pub away: AtomicBool,
    pub corrupt: AtomicBool,
    pub panics: AtomicBool,
}

impl Guests {
    pub fn new() -> Arc<Self> {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let names = [
            "hello",
            "hello-v1",
            "hello-v2",
            "echo",
            "env",
            "denied",
            "hostile",
            "http-p3",
            "kv",
            "kv-draft",
            "kv-spin",
            "blobs",
            "sqlite",
            "sqlite-v1",
            "kv-spin-v1",
            "kv-spin-v3",
            "spin-sdk-6",
            "spin-sdk-7",
            "unknown-import",
            "variables",
            "variables-v3",
            "no-handler",
        ];
        let known = names.map(|name| (digest(name), name.to_owned())).into();
        Arc::new(Self {
            key: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(),
            known: Mutex::new(known),
            fetches: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            corrupt: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        })
    }

    pub fn public_key(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }
}

#[async_trait]
impl CodeSource for Guests {
    async fn fetch(&self, digest: &Digest, engine: &EngineKey) -> Result<Code, FetchError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(FetchError::Unavailable("the test says so".into()));
        }
        assert!(!self.panics.load(Ordering::SeqCst), "the test says so");
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let guest = self.known.lock().unwrap().get(digest).cloned();
        let guest = guest.ok_or_else(|| FetchError::Denied(digest.clone()))?;
        let code = tokio::task::spawn_blocking(move || compiled(&guest))
            .await
            .unwrap();
        let hash = Sha256::digest(&code).into();
        let signature = self
            .key
            .sign(&signed_message(digest.as_str(), engine, &hash));
        let mut code = code.to_vec();
        if self.corrupt.load(Ordering::SeqCst) {
            let middle = code.len() / 2;
            code[middle] ^= 1;
        }
        Ok(Code::from_bytes(code.into(), signature.as_ref().to_vec()))
    }
}
