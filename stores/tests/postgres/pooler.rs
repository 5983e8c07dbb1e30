//! Behind a real pooler in transaction mode: nothing relies on a session.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use futures::future::join_all;
use shoal_stores::key_value::Swap;

use super::*;
use backend::server::{as_owner, free_port, give};

/// So few that each has its turn in time on a slow machine too.
const CALLERS: usize = 48;
/// Sessions that the pooler shares out.
const SESSIONS: i64 = 2;

struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|file| file.exists())
}

/// A pooler in front of `server`, with `more` of its own settings.
fn pooler(server: &Server, more: &str) -> Option<Pooler> {
    let port = free_port();
    let folder = server.folder();
    let users = folder.join("users.txt");
    let file = folder.join("pgbouncer.ini");
    fs::write(&users, "\"postgres\" \"\"\n").unwrap();
    let settings = format!(
        "[databases]\n\
         postgres = host=127.0.0.1 port={} dbname=postgres\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {}\n\
         pool_mode = transaction\n\
         default_pool_size = {SESSIONS}\n\
         max_client_conn = 100\n\
         {more}\n",
        server.port(),
        users.display(),
    );
    fs::write(&file, settings).unwrap();
    give(&file);
    give(&users);
    let mut command = as_owner(Command::new(program()?), folder);
    let child = command
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Some(Pooler { child, port })
}

/// No session of the pooler at `url` has a setting, a statement or a lock of ours.
async fn nothing_is_kept(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    for _ in 0..4 {
        let kept = "SELECT concat_ws(' ',
            current_setting('statement_timeout'), current_setting('lock_timeout'),
            current_setting('enable_seqscan'),
            coalesce(current_setting('shoal.session', true), ''),
            (SELECT count(*) FROM pg_prepared_statements),
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'))";
        let rows = client.query_typed(kept, &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, String>(0), "0 0 on  0 0");
    }
}

/// It takes no part of what a session is to begin with, and says nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_drops_what_a_session_is_to_begin_with_is_seen_through() {
    let test = "a pooler that drops options";
    let Some(server) = server(test, &["fsync=off"]).await else {
        return;
    };
    let Some(pooler) = pooler(&server, "ignore_startup_parameters = options") else {
        shoal_skip::skipped(format_args!("{test}: there is no pgbouncer here"));
        return;
    };
    let (stores, store) = (open(&pooler.url()), StoreId::random());
    let calls = join_all((0..60).map(|n| {
        let stores = stores.clone();
        tokio::spawn(async move {
            let key = format!("key-{}", n % 7);
            set(&stores, store, &key, "value").await.unwrap();
            assert_eq!(get(&stores, store, &key).await.unwrap().unwrap(), "value");
            add(&stores, store, "sum").await.unwrap()
        })
    }));
    let mut sums: Vec<_> = calls.await.into_iter().map(Result::unwrap).collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=60).collect::<Vec<_>>());
    nothing_is_kept(&pooler.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_may_stand_in_between() {
    let test = "a pooler";
    let Some(server) = server(test, &["fsync=off"]).await else {
        return;
    };
    let Some(pooler) = pooler(&server, "") else {
        shoal_skip::skipped(format_args!("{test}: there is no pgbouncer here"));
        return;
    };
    let url = pooler.url();
    until("the pooler answers", async || {
        tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .is_ok()
    })
    .await;
    // Three nodes, with more connections than the pooler has sessions; their first calls race.
    let nodes = [open(&url), open(&url), open(&url)];
    let store = StoreId::random();
    let calls = (0..CALLERS).map(|n| {
        let stores = nodes[n % nodes.len()].clone();
        tokio::spawn(async move {
            add(&stores, store, "sum").await.unwrap();
            let keys: Vec<_> = (0..5).map(|key| format!("{}-{key}", n % 4)).collect();
            let pairs = keys
                .iter()
                .map(|key| (key.clone(), Bytes::from(n.to_string())));
            stores.set(store, pairs.collect(), limits()).await.unwrap();
            let values = stores.get(store, keys.clone()).await.unwrap();
            assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
            if n % 3 == 0 {
                stores.delete(store, keys).await.unwrap();
            }
            let (key, one) = (format!("swap-{n}"), Bytes::from_static(b"1"));
            let swap = |expected| {
                stores.compare_and_swap(store, key.clone(), expected, one.clone(), limits())
            };
            assert_eq!(swap(None).await.unwrap(), Swap::Done);
            assert_eq!(
                swap(None).await.unwrap(),
                Swap::Lost {
                    current: Some(one.clone())
                }
            );
            assert_eq!(swap(Some(one.clone())).await.unwrap(), Swap::Done);
        })
    });
    for call in join_all(calls).await {
        call.unwrap();
    }
    assert_eq!(
        get(&nodes[0], store, "sum").await.unwrap().unwrap(),
        CALLERS.to_string()
    );
    let page = nodes[1]
        .list_keys(store, Some("swap-".into()), 1000)
        .await
        .unwrap();
    assert_eq!(page.keys.len(), CALLERS);

    // The pooler's own sessions: none keeps a setting, a lock or a statement of ours.
    let admin = server.admin().await;
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND client_port > 0";
    let sessions: i64 = admin.query_one(count, &[]).await.unwrap().get(0);
    assert!(sessions <= SESSIONS, "{sessions}");
    nothing_is_kept(&url).await;

    // A pooler that goes away and comes back is as good as a server that does.
    let port = pooler.port;
    drop(pooler);
    unavailable(&server, add(&nodes[0], store, "sum").await);
    let file = server.folder().join("pgbouncer.ini");
    let mut command = as_owner(Command::new(program().unwrap()), server.folder());
    let child = command
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _pooler = Pooler { child, port };
    until("the pooler is back", async || {
        get(&nodes[0], store, "sum").await.is_ok()
    })
    .await;
    add(&nodes[0], store, "sum").await.unwrap();
}
