//! `shoal push`.

use std::fs;

use crate::registry::{PASSWORD, Registry, USER};
use crate::served::Served;
use crate::{guest, shoal, stderr, stdout};

#[test]
fn what_was_pushed_is_served_by_its_reference() {
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("hello"), folder.path().join("it.wasm")).unwrap();
    let manifest = "spin_manifest_version = 2\n[application]\nname = \"shop\"\n[[trigger.http]]\n\
                    route = \"/hi/...\"\ncomponent = \"it\"\n[component.it]\nsource = \"it.wasm\"\n";
    fs::write(folder.path().join("spin.toml"), manifest).unwrap();

    let reference = format!("{}/acme/shop:1", registry.address);
    let push = || {
        shoal()
            .arg("push")
            .arg(folder.path())
            .arg(&reference)
            .arg("--insecure")
            .output()
            .unwrap()
    };
    let first = push();
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(
        stdout(&first).contains("/acme/shop@sha256:"),
        "{}",
        stdout(&first)
    );
    assert_eq!(
        stdout(&push()),
        stdout(&first),
        "pushing again changes no digest"
    );

    let mut up = shoal();
    up.args(["up", &reference, "--listen", "127.0.0.1:0", "--state"])
        .arg(folder.path().join("state"));
    let served = Served::start(&mut up, 1);
    assert_eq!(served.routes, ["/hi/...  it"]);
    assert_eq!(served.get(0, "/hi/there").0, 200);
    assert_eq!(served.get(0, "/elsewhere").0, 404);
}

#[test]
fn credentials_are_those_of_docker_login() {
    let Some(registry) = Registry::start(true) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "{{\"auths\": {{\"{}\": {{\"username\": \"{USER}\", \"password\": \"{PASSWORD}\"}}}}}}",
        registry.address
    );
    fs::write(folder.path().join("config.json"), config).unwrap();
    let reference = format!("{}/hello:1", registry.address);
    let push = || {
        let mut push = shoal();
        push.arg("push")
            .arg(guest("hello"))
            .arg(&reference)
            .arg("--insecure");
        push
    };

    let refused = push().output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("refuses these credentials"),
        "{}",
        stderr(&refused)
    );

    let pushed = push().env("DOCKER_CONFIG", folder.path()).output().unwrap();
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    let mut up = shoal();
    up.args(["up", &reference, "--listen", "127.0.0.1:0", "--state"])
        .arg(folder.path().join("state"));
    let served = Served::start(up.env("DOCKER_CONFIG", folder.path()), 1);
    assert_eq!(served.get(0, "/").0, 200);
}

#[test]
fn what_is_no_app_is_not_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.wasm");
    fs::write(&garbage, "no wasm").unwrap();
    let output = shoal()
        .arg("push")
        .arg(&garbage)
        .args(["127.0.0.1:1/a:1", "--insecure"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("garbage.wasm"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_registry_that_is_away_is_named() {
    let output = shoal()
        .arg("push")
        .arg(guest("hello"))
        .args(["127.0.0.1:1/a:1", "--insecure"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("127.0.0.1:1"),
        "{}",
        stderr(&output)
    );
}
