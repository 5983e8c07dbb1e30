//! `shoal up --store`: other places for what apps keep.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::served::Served;
use crate::{guest, shoal, stderr};

const ANY: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn up(guest_name: &str, state: &Path, stores: &[&str]) -> Command {
    let mut command = shoal();
    command.arg("up").arg(guest(guest_name)).args(ANY);
    command.arg("--state").arg(state);
    for store in stores {
        command.args(["--store", store]);
    }
    command
}

#[test]
fn a_label_is_where_the_command_line_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let sqlite = format!("other=sqlite:{}", data.display());
    let stores = ["default=memory:", sqlite.as_str()];
    let state = folder.path().join("state");
    let served = Served::start(&mut up("kv", &state, &stores), 1);
    for label in ["default", "other"] {
        let path = format!("/set/x/{label}?label={label}");
        assert_eq!(served.get(0, &path), (200, "set".into()));
    }
    assert_eq!(served.get(0, "/get/x"), (200, "default".into()));
    assert_eq!(served.get(0, "/get/x?label=other"), (200, "other".into()));
    assert!(served.interrupt().success());
    assert!(data.is_dir());

    let served = Served::start(&mut up("kv", &state, &stores), 1);
    assert_eq!(served.get(0, "/get/x").0, 404, "what is in memory is gone");
    assert_eq!(served.get(0, "/get/x?label=other"), (200, "other".into()));
    assert_eq!(
        served.get(0, "/open?label=third"),
        (500, "no-such-store".into())
    );
}

#[test]
fn what_is_wrong_with_a_store_is_said_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let sqlite = format!("default=sqlite:{}", file.display());
    let cases = [
        (
            "kv",
            "default=redis://127.0.0.1:1",
            "--store default: Unreachable",
        ),
        (
            "kv",
            "default=postgres://u:s3cret@127.0.0.1:1/d",
            "--store default: Unreachable",
        ),
        ("kv", "default=redis://", "--store default"),
        ("kv", sqlite.as_str(), "is a file"),
        (
            "hello",
            "cache=memory:",
            "no component of these apps opens a key-value store",
        ),
    ];
    for (guest, store, named) in cases {
        let output = up(guest, folder.path(), &[store]).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{store}: {said}");
        assert!(output.stdout.is_empty(), "{store}");
        assert!(said.contains(named), "{store}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_label_that_a_manifest_opens_and_nobody_placed_is_named_with_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("kv-spin"), folder.path().join("kv.wasm")).unwrap();
    let manifest = r#"spin_manifest_version = 2
[application]
name = "shop"
version = "1.0.0"
[[trigger.http]]
route = "/..."
component = "kv"
[component.kv]
source = "kv.wasm"
key_value_stores = ["default", "cache"]
"#;
    fs::write(folder.path().join("spin.toml"), manifest).unwrap();
    let run = |more: &[&str]| {
        let mut command = shoal();
        command.arg("up").arg(folder.path()).args(ANY).args(more);
        command
    };
    let output = run(&[]).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--store cache=URL"), "{said}");
    let served = Served::start(&mut run(&["--store", "cache=memory:"]), 1);
    assert_eq!(served.get(0, "/set/x/one?label=cache"), (200, "set".into()));
    assert_eq!(served.get(0, "/get/x").0, 404);
}

#[test]
fn classes_and_stores_of_the_manifest_work_as_in_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("kv"), folder.path().join("kv.wasm")).unwrap();
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "---\napiVersion: shoal.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let shared = "{image: 'file:kv.wasm', stores: [{label: theirs, store: carts}]}";
    let bounded = "{default: true, backend: {memory: {}}, limits: {valueBytes: 4}}";
    let text = object("StoreClass", "fast", bounded)
        + &object(
            "Store",
            "carts",
            "{app: cart, label: default, className: embedded}",
        )
        + &object("App", "cart", "{image: 'file:kv.wasm'}")
        + &object("App", "other", shared);
    let manifest = folder.path().join("app.yaml");
    fs::write(&manifest, &text).unwrap();
    let up = || {
        let mut command = shoal();
        command.arg("up").arg(&manifest).args(ANY);
        command
    };
    let served = Served::start(&mut up(), 2);
    assert_eq!(served.get(0, "/set/x/durable"), (200, "set".into()));
    assert_eq!(
        served.get(1, "/get/x?label=theirs"),
        (200, "durable".into())
    );
    assert_eq!(served.get(1, "/set/x/fast"), (200, "set".into()));
    let (status, refused) = served.get(1, "/set/x/large");
    assert_eq!(status, 500);
    assert!(refused.contains("at most 4"), "{refused}");
    assert!(served.interrupt().success());

    let served = Served::start(&mut up(), 2);
    assert_eq!(served.get(0, "/get/x"), (200, "durable".into()));
    assert_eq!(served.get(1, "/get/x").0, 404, "its class is in memory");
    assert!(served.interrupt().success());

    fs::write(&manifest, text.replace("store: carts", "store: none")).unwrap();
    let output = up().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("`none`"), "{}", stderr(&output));
}
