//! A primary is killed and its standby promoted: calls go on there by themselves, and nothing that was
//! acknowledged is gone.

use std::{
    fs::File,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use backend::server::{command, free_port};
use futures::future::join_all;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::*;

const WRITERS: usize = 6;

/// A server that follows another one. Dropping it ends it at once.
struct Standby {
    child: Child,
    port: u16,
}

impl Standby {
    /// Begins with a copy of `primary`; returns once that waits for it with every commit.
    async fn of(primary: &Server) -> Self {
        let folder = primary.folder();
        let copied = command("pg_basebackup", folder)
            .args(["--pgdata=standby", "--write-recovery-conf"])
            .args(["--checkpoint=fast", "--username=postgres"])
            .arg(format!("--host={}", folder.display()))
            .arg(format!("--port={}", primary.port()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "{said}");
        let port = free_port();
        let child = command("postgres", folder)
            .args(["-D", "standby", "-p", &port.to_string(), "-k"])
            .arg(folder)
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "shared_buffers=16MB", "-c", "max_connections=60"])
            .stderr(File::create(folder.join("standby.log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let standby = Self { child, port };
        let admin = primary.admin().await;
        let wait = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        admin.batch_execute(wait).await.unwrap();
        admin
            .batch_execute("SELECT pg_reload_conf()")
            .await
            .unwrap();
        let follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let count = async || {
            let row = admin.query_one(follows, &[]).await.unwrap();
            row.get::<_, i64>(0)
        };
        until("the standby follows", async || count().await == 1).await;
        standby
    }

    fn promote(&self, primary: &Server) {
        let promoted = command("pg_ctl", primary.folder())
            .args(["promote", "-D", "standby"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&promoted.stderr);
        assert!(promoted.status.success(), "{said}");
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, Signal::SIGQUIT).unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_is_found_and_has_all_that_was_acknowledged() {
    let Some(mut server) = server("a promoted standby", &["fsync=on"]).await else {
        return;
    };
    let standby = Standby::of(&server).await;
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable",
        server.port(),
        standby.port
    );
    let (stores, store) = (open(&url), StoreId::random());
    assert_eq!(ill(&server, &stores).await, None);
    // What is promoted is the same place.
    stores.keep_to(stores.place());
    let written = tokio::sync::Mutex::new(Vec::new());
    let killed = AtomicBool::new(false);
    let write = async |writer: usize| {
        for index in 0.. {
            let key = format!("{writer}-{index}");
            if set(&stores, store, &key, &key).await.is_ok() {
                written.lock().await.push(key);
            } else if killed.load(Ordering::Relaxed) {
                return;
            }
        }
    };
    let kill = async {
        until("enough is written", async || {
            written.lock().await.len() >= 200
        })
        .await;
        server.kill();
        killed.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all((0..WRITERS).map(write)), kill);

    // The standby alone takes no writes, and so is not used.
    let refused = set(&stores, store, "early", "write").await;
    unavailable(&server, refused);
    assert!(ill(&server, &stores).await.is_some());
    standby.promote(&server);
    until("writes go on", async || {
        set(&stores, store, "late", "write").await.is_ok()
    })
    .await;
    until_ill(&server, &stores, None).await;
    let written = written.into_inner();
    for keys in written.chunks(500) {
        let values = stores.get(store, keys.to_vec()).await.unwrap();
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value.as_deref(), Some(key.as_bytes()), "{key} was lost");
        }
    }
    counts::assert_exact(&*stores, store).await;
}
