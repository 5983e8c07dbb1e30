//! What is compiled, and how often.

use std::io::Read as _;

use futures::future::join_all;
use shoal_artifact::Digest;
use shoal_builder::{BuilderHandle, Source};
use shoal_engine::{EngineKey, Target, Verifier};

use crate::{file, host, images::component, open, options};

async fn build(builder: &BuilderHandle, source: &Source, engines: &[EngineKey]) -> Digest {
    let digest = builder.resolve(source).await.unwrap();
    let description = builder.build(source, &digest, engines).await.unwrap();
    description.components[0].digest.clone()
}

async fn fetch(builder: &BuilderHandle, digest: &Digest) -> (Vec<u8>, Vec<u8>) {
    let mut code = builder.fetch(digest, &host()).await.unwrap();
    let mut bytes = Vec::new();
    code.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, code.size);
    (bytes, code.signature)
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_signed_and_loads_in_an_engine_of_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    let builder = open(folder.path());
    let digest = build(
        &builder,
        &file(folder.path(), &component("a", &[])),
        &[host()],
    )
    .await;
    let (code, signature) = fetch(&builder, &digest).await;
    Verifier::new(builder.code_keys(), host())
        .verify(digest.as_str(), &code, &signature)
        .unwrap();
    assert!(code.starts_with(b"\x7fELF"));
    let engine = wasmtime::Engine::new(&shoal_engine::config(&host()).unwrap()).unwrap();
    load(&engine, &code);
}

#[expect(unsafe_code, reason = "how code is loaded")]
fn load(engine: &wasmtime::Engine, code: &[u8]) {
    // SAFETY: the builder of this test just compiled it.
    unsafe { wasmtime::component::Component::deserialize(engine, code) }.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_component_asked_for_by_many_at_once_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let builder = open(folder.path());
    let source = file(folder.path(), &component("a", &[]));
    let engines = [host()];
    let builds = join_all((0..8).map(|_| build(&builder, &source, &engines))).await;
    assert!(builds.iter().all(|digest| *digest == builds[0]));
    assert_eq!(builder.metrics().compiles(), 1);
    build(&builder, &source, &[host()]).await;
    assert_eq!(builder.metrics().compiles(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_for_other_architectures_is_made_here() {
    let folder = tempfile::tempdir().unwrap();
    let builder = open(folder.path());
    let engines = [Target::Amd64, Target::Arm64, Target::Riscv64]
        .map(|target| EngineKey::new(target, host().baseline()));
    let digest = build(
        &builder,
        &file(folder.path(), &component("a", &[])),
        &engines,
    )
    .await;
    let mut machines = Vec::new();
    for engine in &engines {
        let mut header = [0; 20];
        builder
            .fetch(&digest, engine)
            .await
            .unwrap()
            .file
            .read_exact(&mut header)
            .unwrap();
        machines.push(u16::from_le_bytes([header[18], header[19]]));
    }
    // EM_X86_64, EM_AARCH64, EM_RISCV.
    assert_eq!(machines, [62, 183, 243]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_code_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = file(folder.path(), &component("a", &[]));
    let digest = build(&open(folder.path()), &source, &[host()]).await;
    for entry in std::fs::read_dir(folder.path().join("cache/code")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"damaged").unwrap();
    }
    let restarted = open(folder.path());
    assert!(restarted.fetch(&digest, &host()).await.is_none());
    build(&restarted, &source, &[host()]).await;
    fetch(&restarted, &digest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_code_is_not_said_to_be_served_and_is_made_again_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = file(folder.path(), &component("a", &[]));
    build(&open(folder.path()), &source, &[host()]).await;
    for entry in std::fs::read_dir(folder.path().join("cache/code")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"damaged").unwrap();
    }
    let restarted = open(folder.path());
    let manifest = restarted.resolve(&source).await.unwrap();
    let mut served = Vec::new();
    for _ in 0..2 {
        let built = restarted.build(&source, &manifest, &[host()]).await;
        served.push(restarted.served(&built.unwrap(), &[host()]).await);
    }
    assert_eq!(served, [vec![], vec![host()]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_signs_what_was_compiled_under_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let source = file(folder.path(), &component("a", &[]));
    let digest = build(&open(folder.path()), &source, &[host()]).await;
    std::fs::remove_file(folder.path().join("signing-key")).unwrap();
    let restarted = open(folder.path());
    build(&restarted, &source, &[host()]).await;
    let (code, signature) = fetch(&restarted, &digest).await;
    Verifier::new(restarted.code_keys(), host())
        .verify(digest.as_str(), &code, &signature)
        .unwrap();
    assert_eq!(restarted.metrics().compiles(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_cache_is_pulled_and_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let sources = ["a", "b", "c"].map(|name| file(folder.path(), &component(name, &[])));
    let measured = open(&folder.path().join("measured"));
    build(&measured, &sources[0], &[host()]).await;
    let bytes = std::fs::read_dir(folder.path().join("measured/cache/code")).unwrap();
    let size: u64 = bytes
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();

    let data_dir = folder.path().join("small");
    let small = shoal_builder::Options {
        data_dir,
        cache_bytes: size * 2,
        ..options(folder.path())
    };
    let builder = BuilderHandle::open(small).unwrap();
    for _ in 0..2 {
        for source in &sources {
            let digest = build(&builder, source, &[host()]).await;
            fetch(&builder, &digest).await;
        }
    }
    assert!(builder.metrics().compiles() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_release_candidate_is_compiled_as_one_of_the_release() {
    let folder = tempfile::tempdir().unwrap();
    let builder = open(folder.path());
    let of = |version: &str| {
        let text = format!(
            r#"(component
                (import "wasi:clocks/types@{version}" (instance))
                (instance $i)
                (export "wasi:http/handler@{version}" (instance $i)))"#
        );
        wat::parse_str(text).unwrap()
    };
    let source = file(folder.path(), &of("0.3.0-rc-2026-03-15"));
    let digest = builder.resolve(&source).await.unwrap();
    let description = builder.build(&source, &digest, &[host()]).await.unwrap();
    let made = &description.components[0];
    assert_eq!(made.imports, ["wasi:clocks/types@0.3.0+rc-2026-03-15"]);
    assert_eq!(made.digest, Digest::of(&of("0.3.0+rc-2026-03-15")));
    let (code, signature) = fetch(&builder, &made.digest).await;
    Verifier::new(builder.code_keys(), host())
        .verify(made.digest.as_str(), &code, &signature)
        .unwrap();
}
