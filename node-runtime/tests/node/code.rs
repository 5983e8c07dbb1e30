//! Code is fetched once, verified always, and kept.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
};

use shoal_crds::Reason;
use shoal_runtime::State;

use crate::support::{TestNode, app, app_ref, client::*, eventually};

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder.join("code")).unwrap();
    let paths = all.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

#[tokio::test]
async fn code_that_was_changed_on_its_way_is_never_loaded() {
    let node = TestNode::start();
    node.guests.corrupt.store(true, Ordering::SeqCst);
    node.apply([app("a", "hello")]);
    let report = node
        .until(&app_ref("a"), |report| report.state == State::Failed)
        .await;
    assert_eq!(report.reason, Some(Reason::BadSignature));
    assert!(
        files(node.folder.path(), "code").is_empty(),
        "it is not kept either"
    );
    node.guests.corrupt.store(false, Ordering::SeqCst);
    node.until(&app_ref("a"), |report| report.state == State::Ready)
        .await;
}

#[tokio::test]
async fn a_builder_that_is_away_is_asked_again() {
    let node = TestNode::start();
    node.guests.away.store(true, Ordering::SeqCst);
    node.apply([app("a", "hello")]);
    let away = |r: &shoal_runtime::AppReport| r.reason == Some(Reason::CodeUnavailable);
    let report = node.until(&app_ref("a"), away).await;
    assert_eq!(
        report.state,
        State::Fetching,
        "it may pass by itself: {}",
        report.message
    );
    node.guests.away.store(false, Ordering::SeqCst);
    node.until(&app_ref("a"), |report| report.state == State::Ready)
        .await;
}

#[tokio::test]
async fn a_panic_while_an_app_is_prepared_is_told_and_tried_again_while_it_serves_on() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "hello-v1")]).await;
    node.guests.panics.store(true, Ordering::SeqCst);
    node.apply([app("a", "hello-v2")]);
    node.until(&app_ref("a"), |report| report.message.contains("panicked"))
        .await;
    assert_eq!(get(address, "/").await.text(), "v1");
    node.guests.panics.store(false, Ordering::SeqCst);
    node.until(&app_ref("a"), |report| report.state == State::Ready)
        .await;
    assert_eq!(get(address, "/").await.text(), "v2");
}

#[tokio::test]
async fn kept_code_is_the_owners_only_and_serves_the_next_process_without_a_builder() {
    let node = TestNode::start();
    node.serve([app("a", "hello")]).await;
    let [code] = files(node.folder.path(), "code").try_into().unwrap();
    assert_eq!(
        fs::metadata(&code).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (guests, folder) = (node.guests.clone(), node.folder);
    node.node.shutdown(std::time::Duration::from_secs(5)).await;

    guests.away.store(true, Ordering::SeqCst);
    let next = TestNode::again(guests, folder);
    let [address] = next.serve([app("a", "hello")]).await;
    assert_eq!(get(address, "/").await.status, 200);
}

#[tokio::test]
async fn kept_code_that_was_changed_is_fetched_again() {
    let node = TestNode::start();
    node.serve([app("a", "hello")]).await;
    let (guests, folder) = (node.guests.clone(), node.folder);
    node.node.shutdown(std::time::Duration::from_secs(5)).await;
    let [code] = files(folder.path(), "code").try_into().unwrap();
    let mut bytes = fs::read(&code).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&code, bytes).unwrap();

    let before = guests.fetches.load(Ordering::SeqCst);
    let next = TestNode::again(guests, folder);
    let [address] = next.serve([app("a", "hello")]).await;
    assert_eq!(get(address, "/").await.status, 200);
    assert_eq!(next.guests.fetches.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn a_link_or_a_file_of_others_is_not_taken_for_code() {
    let node = TestNode::start();
    node.serve([app("a", "hello")]).await;
    let (guests, folder) = (node.guests.clone(), node.folder);
    node.node.shutdown(std::time::Duration::from_secs(5)).await;
    let [code] = files(folder.path(), "code").try_into().unwrap();
    fs::set_permissions(&code, fs::Permissions::from_mode(0o666)).unwrap();
    let next = TestNode::again(guests, folder);
    let [address] = next.serve([app("a", "hello")]).await;
    assert_eq!(get(address, "/").await.status, 200);
    let [code] = files(next.folder.path(), "code").try_into().unwrap();
    eventually("it was replaced by a file of our own", async || {
        fs::metadata(&code).unwrap().permissions().mode() & 0o777 == 0o600
    })
    .await;
}

#[test]
fn there_is_no_compiler_in_the_runtime() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--manifest-path",
            manifest,
            "-p",
            "shoal-runtime",
            "-e",
            "normal",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(
        text.contains("wasmtime v"),
        "{text}{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    // `cranelift-entity` and `-bitset` are collections that every Wasmtime has.
    for compiler in ["cranelift-codegen", "wasmtime-internal-cranelift", "winch"] {
        assert!(!text.contains(compiler), "{compiler} is in:\n{text}");
    }
}
