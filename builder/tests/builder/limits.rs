//! Components that are hard to compile, and a compiler that breaks.

use std::{path::Path, time::Duration};

use shoal_artifact::{Reason, Refusal};
use shoal_builder::{BuilderHandle, CompileLimits, Options};
use shoal_guests::huge_component;

use crate::{file, host, images::component, options};

/// Builds `wasm` within `limits`; it must fail.
async fn refused(folder: &Path, wasm: &[u8], change: impl FnOnce(&mut Options)) -> Refusal {
    let mut options = options(folder);
    change(&mut options);
    let builder = BuilderHandle::open(options).unwrap();
    let source = file(folder, wasm);
    let digest = builder.resolve(&source).await.unwrap();
    builder
        .build(&source, &digest, &[host()])
        .await
        .unwrap_err()
}

fn bomb() -> Vec<u8> {
    huge_component(16)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_that_never_ends_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        timeout: Duration::from_secs(2),
        ..CompileLimits::default()
    };
    let refusal = refused(folder.path(), &bomb(), |options| options.limits = limits).await;
    assert_eq!(refusal.reason, Reason::CompileTimeout);
    let named = refusal.message.strip_prefix("compiling the component of `");
    assert!(
        named.is_some_and(|rest| rest.ends_with(".wasm` took longer than 2 s")),
        "{refusal}"
    );
    assert!(refusal.retry_after.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        cpu_seconds: 2,
        ..CompileLimits::default()
    };
    let refusal = refused(folder.path(), &bomb(), |options| options.limits = limits).await;
    assert_eq!(refusal.reason, Reason::CompileLimitExceeded);
    assert!(
        refusal.message.contains("2 s of processor time"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    // A component that is itself larger than what may be used.
    let filler = "x".repeat(64 << 20);
    let wasm = component(&filler, &[]);
    let program = Path::new(env!("CARGO_BIN_EXE_shoal-builder"))
        .metadata()
        .unwrap()
        .len();
    let memory_bytes = program + (96 << 20);
    let limits = CompileLimits {
        memory_bytes,
        ..CompileLimits::default()
    };
    let refusal = refused(folder.path(), &wasm, |options| options.limits = limits).await;
    assert_eq!(refusal.reason, Reason::CompileLimitExceeded, "{refusal}");
    assert!(refusal.message.contains("MiB of memory"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        output_bytes: 1000,
        ..CompileLimits::default()
    };
    let wasm = component("a", &[]);
    let refusal = refused(folder.path(), &wasm, |options| options.limits = limits).await;
    assert_eq!(refusal.reason, Reason::CompileLimitExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_crashes_is_told_from_a_component_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = component("a", &[]);
    for (script, word) in [
        ("kill -SEGV $$", "SIGSEGV"),
        ("echo boom >&2; exit 101", "boom"),
    ] {
        let program = folder.path().join("crash");
        // By another process: of a file that this one writes a child of another test may have a copy open, and
        // what is open for writing is not run.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"";
        let written = std::process::Command::new("sh")
            .args(["-ec", write, "sh", script])
            .arg(&program)
            .status();
        assert!(written.unwrap().success());
        let crashing = |options: &mut Options| options.compile_program = Some(program);
        let refusal = refused(folder.path(), &wasm, crashing).await;
        assert_eq!(refusal.reason, Reason::CompilerCrashed);
        assert!(refusal.message.contains(word), "{refusal}");
    }
    let missing = |options: &mut Options| options.compile_program = Some("/nonexistent".into());
    let refusal = refused(folder.path(), &wasm, missing).await;
    assert_eq!(refusal.reason, Reason::BuilderUnavailable);
}
