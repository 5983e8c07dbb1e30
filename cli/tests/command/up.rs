//! `shoal up`.

use std::fs;

use crate::served::Served;
use crate::{guest, shoal, stderr};

const ANY: [&str; 2] = ["--listen", "127.0.0.1:0"];

#[test]
fn a_value_is_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("guestbook.wasm");
    fs::copy(guest("guestbook"), &app).unwrap();

    let served = Served::start(shoal().arg("up").arg(&app).args(ANY), 1);
    assert_eq!(served.routes, ["/...  guestbook"]);
    assert_eq!(
        served.request(0, "POST", "/", "name=Ada&message=first").0,
        303
    );
    assert!(served.interrupt().success());
    assert!(
        folder.path().join(".shoal").is_dir(),
        "state lies beside the app"
    );

    let served = Served::start(shoal().arg("up").arg(&app).args(ANY), 1);
    let (status, entries) = served.get(0, "/api/entries");
    assert_eq!(status, 200);
    assert!(
        entries.contains("Ada") && entries.contains("first"),
        "{entries}"
    );
}

#[test]
fn apps_of_one_manifest_have_a_port_each_and_their_own_environment() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("hello"), folder.path().join("hello.wasm")).unwrap();
    fs::copy(guest("env"), folder.path().join("env.wasm")).unwrap();
    let manifest = folder.path().join("app.yaml");
    let app = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: shoal.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let text = app("hello", "{image: 'file:hello.wasm'}")
        + &app(
            "env",
            "{image: 'file:env.wasm', env: [{name: A, value: manifest}]}",
        );
    fs::write(&manifest, text).unwrap();

    let mut command = shoal();
    command
        .arg("up")
        .arg(&manifest)
        .args(ANY)
        .args(["--env", "B=line"]);
    let served = Served::start(&mut command, 2);
    assert_ne!(served.addresses[0], served.addresses[1]);
    assert_eq!(served.get(0, "/").0, 200);
    let (_, env) = served.get(1, "/");
    assert!(env.contains("manifest") && env.contains("line"), "{env}");
}

#[test]
fn a_folder_in_use_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let up = || {
        let mut command = shoal();
        command
            .arg("up")
            .arg(guest("hello"))
            .args(ANY)
            .arg("--state")
            .arg(folder.path());
        command
    };
    let _served = Served::start(&mut up(), 1);
    let second = up().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        stderr(&second).contains(&folder.path().display().to_string()),
        "{}",
        stderr(&second)
    );
}

#[test]
fn what_does_not_run_ends_with_1_and_says_why_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.wasm");
    fs::write(&garbage, "no wasm").unwrap();
    let cases = [
        (garbage, "not WebAssembly"),
        (guest("unknown-import"), "acme:widgets/thing"),
        (guest("no-handler"), "wasi:http/incoming-handler"),
        (folder.path().join("nothing.wasm"), "does not exist"),
    ];
    for (path, named) in cases {
        let output = shoal()
            .arg("up")
            .arg(&path)
            .args(ANY)
            .arg("--state")
            .arg(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", path.display());
        assert!(output.stdout.is_empty(), "{}", path.display());
        assert!(
            stderr(&output).starts_with("error: "),
            "{}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(named), "{}", stderr(&output));
    }
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = shoal();
    command
        .arg("up")
        .arg(guest("hello"))
        .args(["--listen", &address])
        .arg("--state")
        .arg(folder.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&taken.local_addr().unwrap().port().to_string()),
        "{}",
        stderr(&output)
    );
}

#[test]
fn variables_come_from_the_manifest_from_objects_in_it_and_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("variables"), folder.path().join("app.wasm")).unwrap();
    let manifest = folder.path().join("app.yaml");
    let text = "\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: from-secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {LEVEL: from-map}
---
apiVersion: shoal.dev/v1alpha1
kind: App
metadata: {name: app}
spec:
  image: file:app.wasm
  envFrom: [{configMapRef: {name: settings}}]
  variables:
  - {name: token, valueFrom: {secretKeyRef: {name: db, key: password}}}
  - {name: mode, value: manifest}
";
    fs::write(&manifest, text).unwrap();
    let mut command = shoal();
    command.arg("up").arg(&manifest).args(ANY).args([
        "--variable",
        "mode=line",
        "--variable",
        "more=a=b",
    ]);
    let served = Served::start(&mut command, 1);
    for (path, value) in [
        ("/variables/token", "from-secret"),
        ("/config/mode", "line"),
        ("/rc/more", "a=b"),
        ("/env/LEVEL", "from-map"),
    ] {
        assert_eq!(served.get(0, path), (200, value.to_owned()), "{path}");
    }

    fs::write(&manifest, text.replace("key: password", "key: user")).unwrap();
    drop(served);
    let output = shoal().arg("up").arg(&manifest).args(ANY).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(
        error.contains("key `user` of Secret `db`") && !error.contains("from-secret"),
        "{error}"
    );
}

#[test]
fn a_spin_app_starts_with_the_variable_that_it_requires_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("variables"), folder.path().join("app.wasm")).unwrap();
    let manifest = "\
spin_manifest_version = 2
[application]
name = \"app\"
[variables]
host = { default = \"db.example\" }
token = { required = true }
[[trigger.http]]
route = \"/...\"
component = \"app\"
[component.app]
source = \"app.wasm\"
variables = { url = \"db://{{ token }}@{{ host }}\" }
";
    fs::write(folder.path().join("spin.toml"), manifest).unwrap();
    let output = shoal()
        .arg("up")
        .arg(folder.path())
        .args(ANY)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(
        error.contains("`token`") && error.contains("component `app`"),
        "{error}"
    );

    let mut command = shoal();
    command.arg("up").arg(folder.path()).args(ANY);
    let served = Served::start(command.args(["--variable", "token=t"]), 1);
    assert_eq!(
        served.get(0, "/variables/url"),
        (200, "db://t@db.example".to_owned())
    );
}
