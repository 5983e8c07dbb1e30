//! `shoal up` with data on servers of one's own: given on the command line, or as classes of the manifest.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use crate::postgres_server::Server;
use crate::redis_server::RedisServer;
use crate::s3_server::S3Server;
use crate::served::Served;
use crate::{guest, shoal};

/// A runtime for what starts servers.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn postgres(runtime: &tokio::runtime::Runtime) -> Option<Server> {
    let started = runtime.block_on(Server::start());
    started
        .inspect_err(|why| shoal_skip::skipped(format_args!("Postgres: {why}")))
        .ok()
}

fn up(what: &Path, state: &Path, more: &[&str]) -> Command {
    let mut command = shoal();
    command
        .arg("up")
        .arg(what)
        .args(["--listen", "127.0.0.1:0"])
        .arg("--state")
        .arg(state)
        .args(more);
    let log = File::create(state.with_extension("log")).unwrap();
    command.stderr(log);
    command
}

fn said(state: &Path) -> String {
    fs::read_to_string(state.with_extension("log")).unwrap()
}

/// Counts twice, in two runs; what is said of it names the kind of server and no password.
fn counts_there(url: &str, kind: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = format!("default={url}");
    for value in ["1", "2"] {
        let served = Served::start(&mut up(&guest("kv"), &state, &["--store", &store]), 1);
        let sum = served.get(0, "/incr/n");
        assert_eq!(sum, (200, value.to_owned()), "it outlives the run");
        assert!(served.interrupt().success());
        let said = said(&state);
        let wanted = format!("label `default` (KeyValue) is in --store default, backend {kind}");
        assert!(said.contains(&wanted), "{said}");
        assert!(!said.contains("s3cret") && !said.contains("://"), "{said}");
    }
    // Nothing of it went into the state folder.
    let served = Served::start(&mut up(&guest("kv"), &state, &[]), 1);
    assert_eq!(served.get(0, "/get/n").0, 404);
}

#[test]
fn keys_and_values_may_be_in_a_redis() {
    let runtime = runtime();
    let Some(redis) = runtime.block_on(RedisServer::start(&[])) else {
        return;
    };
    runtime.block_on(redis.admin(&["ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all"]));
    let url = format!("redis://app:s3cret@127.0.0.1:{}", redis.port);
    counts_there(&url, "redis");
}

#[test]
fn keys_and_values_may_be_in_a_postgres() {
    let runtime = runtime();
    let Some(postgres) = postgres(&runtime) else {
        return;
    };
    counts_there(&postgres.url_of("postgres", "s3cret"), "postgres");
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: shoal.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

fn secret(name: &str, data: &str) -> String {
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {data}\n")
}

#[test]
fn a_class_of_the_manifest_may_be_a_postgres() {
    let runtime = runtime();
    let Some(postgres) = postgres(&runtime) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::copy(guest("kv"), folder.path().join("kv.wasm")).unwrap();
    let url = postgres.url_of("postgres", "s3cret");
    let class = "{default: true, limits: {valueBytes: 4}, backend: {postgres: {prefix: laptop, \
                 urlFrom: {secretKeyRef: {name: db, key: url}}}}}";
    let text = secret("db", &format!("{{url: '{url}'}}"))
        + &object("StoreClass", "relational", class)
        + &object("App", "cart", "{image: 'file:kv.wasm'}");
    let manifest = folder.path().join("app.yaml");
    fs::write(&manifest, text).unwrap();
    for value in ["1", "2"] {
        let served = Served::start(&mut up(&manifest, &state, &[]), 1);
        assert_eq!(served.get(0, "/incr/n"), (200, value.to_owned()));
        assert_eq!(served.get(0, "/set/x/large").0, 500, "its limits hold");
        assert!(served.interrupt().success());
    }
    let said = said(&state);
    let wanted =
        "default/cart: label `default` (KeyValue) is in class `relational`, backend postgres\n";
    assert!(said.contains(wanted), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let tables = runtime.block_on(async {
        let client = postgres.admin().await;
        let query = "SELECT count(*) FROM pg_tables WHERE tablename = 'laptop_kv'";
        client.query_one(query, &[]).await.unwrap().get::<_, i64>(0)
    });
    assert_eq!(tables, 1);
}

#[test]
fn a_class_of_the_manifest_may_be_a_bucket() {
    let runtime = runtime();
    let Some(server) = runtime.block_on(S3Server::start()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::copy(guest("blobs"), folder.path().join("blobs.wasm")).unwrap();
    let options = server.options("laptop");
    let keys = format!(
        "{{AWS_ACCESS_KEY_ID: {}, AWS_SECRET_ACCESS_KEY: {}}}",
        options.access_key_id, options.secret_access_key
    );
    let class = format!(
        "{{interface: Blob, default: true, backend: {{s3: {{endpoint: '{}', bucket: {}, region: {}, \
         prefix: laptop, credentialsFrom: {{secretRef: {{name: keys}}}}}}}}}}",
        options.endpoint.unwrap(),
        options.bucket,
        options.region
    );
    let text = secret("keys", &keys)
        + &object("StoreClass", "objects", &class)
        + &object("App", "gallery", "{image: 'file:blobs.wasm'}");
    let manifest = folder.path().join("app.yaml");
    fs::write(&manifest, text).unwrap();
    let served = Served::start(&mut up(&manifest, &state, &[]), 1);
    let put = served.get(0, "/put/a?content=picture");
    assert_eq!(put, (200, "written".to_owned()));
    assert!(served.interrupt().success());
    let served = Served::start(&mut up(&manifest, &state, &[]), 1);
    assert_eq!(served.get(0, "/get/a"), (200, "picture".to_owned()));
    let is_there = server
        .files()
        .iter()
        .any(|file| file.to_string_lossy().contains("/laptop/"));
    assert!(is_there, "{:?}", server.files());
    let said = said(&state);
    let wanted = "label `default` (Blob) is in class `objects`, backend s3";
    assert!(said.contains(wanted), "{said}");
    assert!(!said.contains(&options.secret_access_key), "{said}");
}
