//! What is between a guest and its data is killed, part by part, in the middle of 10,000 counted writes:
//! the runtime, the store's process, the databases. What was acknowledged is there afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backend;
#[path = "../../protocol/tests/parts/mod.rs"]
mod parts;
mod store_process;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use backend::redis::redis_server::RedisServer;
use backend::{postgres::options, server::Server};
use bytes::Bytes;
use futures::future::join_all;
use parts::{NODE, Operator, POD, Serving, runtime_identity, until};
use shoal_protocol::{
    Identity, LiveIdentity, Role, Trust,
    v1::{GrantSet, PodGrants},
};
use shoal_stores::{KeyValue, Postgres, Redis, RedisOptions, Remote, StoreId, StoreLimits};
use store_process::{Process, free_address};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Where the child finds its stores: `store FOLDER ADDRESS`, `postgres URL` or `redis URL`.
const PLACE: &str = "SHOAL_TEST_KILL_CHAIN_PLACE";
/// What the keys of a child begin with.
const RUN: &str = "SHOAL_TEST_KILL_CHAIN_RUN";
const STORE: &str = "f3f0c0de-51b7-4f7e-9a63-1d2d6f9c1b7a";
const WRITES: usize = 10_000;
const WRITERS: usize = 32;

/// The data's keeper, which can be killed.
#[async_trait]
trait Keeper {
    /// What the child is told.
    fn place(&self) -> String;
    /// Ends every process of it at once, and starts it again.
    async fn kill_and_start_again(&mut self);
}

struct Store {
    folder: tempfile::TempDir,
    serving: Serving,
    _operator: Arc<Operator>,
    address: SocketAddr,
    process: Option<Process>,
}

impl Store {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = Operator::new();
        *operator.identity.lock().unwrap() =
            Identity::new(Role::Store, "", NODE, "store-0").unwrap();
        operator.grants.send_replace(GrantSet {
            epoch: 1,
            pods: vec![PodGrants {
                pod_uid: POD.to_owned(),
                store_ids: vec![STORE.to_owned()],
                ..PodGrants::default()
            }],
        });
        let authority = operator.authority();
        let issued = authority.issue(&runtime_identity()).unwrap();
        for (name, text) in [
            ("ca.crt", authority.certificate_pem()),
            ("token", "good"),
            ("runtime.crt", &issued.certificate_chain),
            ("runtime.key", &issued.key),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut store = Self {
            folder,
            serving: operator.serve(),
            _operator: operator,
            address: free_address(),
            process: None,
        };
        store.spawn().await;
        store
    }

    async fn spawn(&mut self) {
        let process = Process::start(
            env!("CARGO_BIN_EXE_shoal-store").as_ref(),
            self.folder.path(),
            self.serving.address,
            self.address,
            free_address(),
            &[],
        );
        until("the store is ready", || process.is_ready()).await;
        self.process = Some(process);
    }
}

#[async_trait]
impl Keeper for Store {
    fn place(&self) -> String {
        format!("store {} {}", self.folder.path().display(), self.address)
    }

    async fn kill_and_start_again(&mut self) {
        assert!(!self.process.take().unwrap().end("-KILL").success());
        self.spawn().await;
    }
}

#[async_trait]
impl Keeper for Server {
    fn place(&self) -> String {
        format!("postgres {}", self.url())
    }

    async fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again().await;
    }
}

#[async_trait]
impl Keeper for RedisServer {
    fn place(&self) -> String {
        format!("redis {}", self.url())
    }

    async fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again().await;
    }
}

fn open(place: &str) -> Arc<dyn KeyValue> {
    let words: Vec<_> = place.split(' ').collect();
    match words[..] {
        ["store", folder, address] => {
            let read = |name: &str| fs::read_to_string(Path::new(folder).join(name)).unwrap();
            let identity = LiveIdentity::new(Trust::from_pem(&read("ca.crt")).unwrap());
            identity
                .set_certificate(&read("runtime.crt"), &read("runtime.key"))
                .unwrap();
            Arc::new(Remote::new(address, &identity).unwrap())
        }
        ["postgres", url] => Arc::new(Postgres::new(&options(url)).unwrap()),
        ["redis", url] => {
            let url = url.to_owned();
            Arc::new(
                Redis::new(&RedisOptions {
                    url,
                    ..RedisOptions::default()
                })
                .unwrap(),
            )
        }
        _ => panic!("{place}"),
    }
}

/// The child, in the runtime's place: writes without end, and says what became of each write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let run = std::env::var(RUN).unwrap();
    let (stores, store): (_, StoreId) = (open(&place), STORE.parse().unwrap());
    // One call per line, so that a line is whole or absent.
    let say = |text: String| {
        let said = std::io::stdout().lock().write_all(text.as_bytes());
        said.unwrap();
    };
    let write = async |writer: usize| {
        for index in 0..1_000_000 {
            let (key, sum) = (format!("{run}-{writer}-{index}"), format!("sum-{writer}"));
            let pair = (key.clone(), Bytes::from(key.clone()));
            let limits = StoreLimits::default();
            if stores.set(store, vec![pair], limits).await.is_ok() {
                say(format!("acknowledged {key}\n"));
            }
            match stores.increment(store, sum, 1, limits).await {
                Ok(_) => say(format!("added {writer}\n")),
                Err(_) => say(format!("unknown {writer}\n")),
            }
        }
    };
    join_all((0..WRITERS).map(write)).await;
}

/// A child under way.
struct Runtime {
    child: Child,
    lines: UnboundedReceiver<String>,
}

impl Runtime {
    fn start(place: &str, run: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed"])
            .arg("--nocapture")
            .env(PLACE, place)
            .env(RUN, run.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = unbounded_channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // The last line of a process that was killed may be half.
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Kills it; what it had said before is still to be heard.
    async fn kill(mut self, heard: &mut Heard) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Some(line) = self.lines.recv().await {
            heard.take(&line);
        }
        // Each writer may have been in the middle of one more.
        for writer in 0..WRITERS {
            *heard.unknown.entry(writer).or_default() += 1;
        }
    }
}

/// What the children said.
#[derive(Default)]
struct Heard {
    acknowledged: BTreeSet<String>,
    added: BTreeMap<usize, i64>,
    unknown: BTreeMap<usize, i64>,
}

impl Heard {
    fn take(&mut self, line: &str) {
        // The first line may follow the test harness's own words.
        if let Some((_, key)) = line.split_once("acknowledged ") {
            assert!(self.acknowledged.insert(key.to_owned()));
        } else if let Some((_, writer)) = line.split_once("added ") {
            *self.added.entry(writer.parse().unwrap()).or_default() += 1;
        } else if let Some((_, writer)) = line.split_once("unknown ") {
            *self.unknown.entry(writer.parse().unwrap()).or_default() += 1;
        }
    }

    fn writes(&self) -> usize {
        self.acknowledged.len() + self.added.values().sum::<i64>() as usize
    }
}

/// Kills keeper and runtime again and again, until so much is written; then compares.
async fn kill_all_in_turn(name: &str, mut keeper: impl Keeper) {
    let mut heard = Heard::default();
    let kills = 6;
    let mut runtime = Runtime::start(&keeper.place(), 0);
    for kill in 1..=kills {
        while heard.writes() < WRITES * kill / kills {
            let line = runtime.lines.recv().await;
            heard.take(&line.expect("the child ended by itself"));
        }
        match kill % 3 {
            0 => {
                let (killed, next) = (runtime, Runtime::start(&keeper.place(), kill));
                killed.kill(&mut heard).await;
                keeper.kill_and_start_again().await;
                runtime = next;
            }
            1 => keeper.kill_and_start_again().await,
            _ => {
                runtime.kill(&mut heard).await;
                runtime = Runtime::start(&keeper.place(), kill);
            }
        }
    }
    runtime.kill(&mut heard).await;
    compare(name, &heard, &*open(&keeper.place())).await;
}

async fn compare(name: &str, heard: &Heard, stores: &dyn KeyValue) {
    let store: StoreId = STORE.parse().unwrap();
    let keys: Vec<_> = heard.acknowledged.iter().cloned().collect();
    // What was killed only just started.
    let given_up = Instant::now() + Duration::from_secs(180);
    while let Err(error) = stores.exists(store, "any".to_owned()).await {
        assert!(Instant::now() < given_up, "{error}");
    }
    for some in keys.chunks(500) {
        let values = stores.get(store, some.to_vec()).await.unwrap();
        for (key, value) in some.iter().zip(values) {
            assert_eq!(value.as_deref(), Some(key.as_bytes()), "{key} was lost");
        }
    }
    for (writer, added) in &heard.added {
        let sum = format!("sum-{writer}");
        let sum = stores
            .increment(store, sum, 0, StoreLimits::default())
            .await;
        let (sum, unknown) = (sum.unwrap(), heard.unknown[writer]);
        assert!(
            (*added..=added + unknown).contains(&sum),
            "{sum} of writer {writer}: {added} were acknowledged, of {unknown} nobody knows"
        );
    }
    let (writes, unknown) = (heard.writes(), heard.unknown.values().sum::<i64>());
    println!("{name}: {writes} writes acknowledged, 0 lost; of {unknown} nobody knows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_loses_no_acknowledged_write() {
    kill_all_in_turn("shoal-store", Store::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_no_acknowledged_write() {
    match Server::start_with(&["fsync=on"]).await {
        Ok(server) => kill_all_in_turn("Postgres", server).await,
        Err(why) => shoal_skip::skipped(format_args!("a killed Postgres: {why}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_that_syncs_loses_no_acknowledged_write() {
    let synced = ["--appendonly", "yes", "--appendfsync", "always"];
    if let Some(server) = RedisServer::start(&synced).await {
        kill_all_in_turn("Redis", server).await;
    }
}
