//! The volume of `shoal-store` is full, as runtimes see it: writes of every interface are refused in plain words,
//! everything is read, what is not on that volume goes on, and nothing has to be restarted when there is room.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use shoal_mounts::{Apart, enlarge};
use shoal_stores::{
    Backend, BlobError, Blobs, Health, KeyValue, KeyValueError, Reason, Remote, RemoteBlobs,
    RemoteSql, Sql, SqlError, StoreId, StoreLimits,
    blob::ByteRange,
    sql::{Session, Statement, Value},
};

use crate::{again, place::Place, store_process::free_address};

const FOLDER: &str = "SHOAL_TEST_PROCESS_SMALL_DISK";
const FULL: &str = "the disk is full";

/// What a runtime does with one Store of each interface.
struct Calls {
    keys: Remote,
    objects: RemoteBlobs,
    sql: RemoteSql,
    store: StoreId,
    session: Session,
}

impl Calls {
    async fn set(&self, key: usize) -> Result<(), KeyValueError> {
        let pair = (key.to_string(), Bytes::from(vec![7; 100_000]));
        let limits = StoreLimits::default();
        self.keys.set(self.store, vec![pair], limits).await
    }

    async fn put(&self, object: usize, bytes: usize) -> Result<(), BlobError> {
        let piece = |at: usize| Ok(Bytes::from(vec![7; (bytes - at).min(60_000)]));
        let pieces: Vec<Result<_, BlobError>> = (0..bytes).step_by(60_000).map(piece).collect();
        let content = stream::iter(pieces).boxed();
        let limits = StoreLimits {
            value_bytes: 10_000_000,
            ..StoreLimits::default()
        };
        let name = object.to_string();
        self.objects.write(self.store, name, content, limits).await
    }

    async fn run(&mut self, text: &str) -> Result<Vec<Vec<Value>>, SqlError> {
        let statement = Statement {
            text: text.to_owned(),
            parameters: Vec::new(),
        };
        let limits = StoreLimits::default();
        let answer = self.sql.execute(&mut self.session, statement, limits);
        answer.await.map(|answer| answer.rows)
    }

    async fn insert(&mut self) -> Result<(), SqlError> {
        let insert = "INSERT INTO t VALUES (randomblob(20000))";
        self.run(insert).await.map(drop)
    }

    /// All that was acknowledged is there, in these numbers.
    async fn assert_there(&mut self, keys: usize, objects: &[usize], rows: i64) {
        for key in 0..keys {
            let asked = vec![key.to_string()];
            let values = self.keys.get(self.store, asked).await.unwrap();
            assert!(values[0].is_some(), "value {key} is gone");
        }
        for (object, whole) in objects.iter().enumerate() {
            let read = (self.objects).read(self.store, object.to_string(), ByteRange::ALL);
            let content: Vec<Bytes> = read.await.unwrap().content.try_collect().await.unwrap();
            let bytes: usize = content.iter().map(Bytes::len).sum();
            assert_eq!(bytes, *whole, "object {object} is not whole");
        }
        let count = self.run("SELECT count(*) FROM t").await.unwrap();
        assert_eq!(count, [[Value::Integer(rows)]]);
    }
}

/// Why a class does not serve, in one word and in many.
async fn trouble(health: impl Future<Output = Health>) -> Option<(Reason, String)> {
    match health.await {
        Health::Reachable => None,
        Health::Failing { reason, message } => Some((reason, message)),
    }
}

/// The child: runs where `FOLDER/data` is a file system of 32 MiB, which it may enlarge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_on_a_small_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let place = Place::new(Path::new(&folder));
    let store = StoreId::random();
    place.grant(&[store]);
    let address = free_address();
    let process = place.start(address).await;
    let (target, identity) = (address.to_string(), place.runtime());
    let mut calls = Calls {
        keys: Remote::new(&target, &identity).unwrap(),
        objects: RemoteBlobs::new(&target, &identity).unwrap(),
        sql: RemoteSql::new(&target, &identity).unwrap(),
        store,
        session: Session::new(store),
    };
    let memory = calls.keys.in_memory();
    let neighbour = async || {
        let sum = memory.increment(store, "sum".to_owned(), 1, StoreLimits::default());
        (sum.await, memory.health().await)
    };
    // The grant is on its way.
    again(async || calls.set(0).await).await;
    calls.run("CREATE TABLE t(a)").await.unwrap();
    calls.insert().await.unwrap();
    assert_eq!(neighbour().await, (Ok(1), Health::Reachable));
    assert_eq!(trouble(calls.keys.health()).await, None);

    // They do not take the last of it: how they do is told before there is no room for keys.
    let (mut objects, mut bytes, mut refused) = (Vec::new(), 1_000_000, 0);
    let (reason, message) = loop {
        match calls.put(objects.len(), bytes).await {
            Ok(()) => objects.push(bytes),
            Err(error) => {
                assert_eq!(error, BlobError::Unavailable(FULL.to_owned()));
                (bytes, refused) = (10_000, refused + 1);
            }
        }
        assert!(objects.len() < 1000, "the disk never filled");
        if let Some(trouble) = trouble(calls.objects.health()).await {
            break trouble;
        }
    };
    assert!(objects.len() > 5 && refused > 0, "{objects:?} fit");
    assert_eq!(reason, Reason::ReadOnly);
    assert!(message.contains("no more room for objects"), "{message}");
    assert_eq!(trouble(calls.keys.health()).await, None);

    // What is in a log may find room in its file once more; how a class does is known for a while.
    let mut keys = 1;
    let (reason, message) = loop {
        match calls.set(keys).await {
            Ok(()) => keys += 1,
            Err(error) => assert_eq!(error, KeyValueError::Unavailable(FULL.to_owned())),
        }
        assert!(keys < 1000, "the disk never filled");
        if let Some(trouble) = trouble(calls.keys.health()).await {
            break trouble;
        }
    };
    assert_eq!(reason, Reason::ReadOnly);
    assert!(message.contains(FULL), "{message}");
    let mut rows = 1;
    let refused = loop {
        match calls.insert().await {
            Ok(()) => rows += 1,
            Err(error) => break error,
        }
        assert!(rows < 1000, "the disk never filled");
    };
    assert_eq!(refused, SqlError::Unavailable(FULL.to_owned()));
    calls.assert_there(keys, &objects, rows).await;
    assert_eq!(neighbour().await, (Ok(2), Health::Reachable));
    assert!(process.is_ready(), "it still reads");

    enlarge(&format!("{folder}/data"), "256m");
    calls.set(keys).await.unwrap();
    calls.put(objects.len(), 1_000_000).await.unwrap();
    objects.push(1_000_000);
    calls.insert().await.unwrap();
    calls.assert_there(keys + 1, &objects, rows + 1).await;
    again(async || match trouble(calls.keys.health()).await {
        None => Ok(()),
        Some((_, message)) => Err(message),
    })
    .await;
    again(async || match trouble(calls.objects.health()).await {
        None => Ok(()),
        Some((_, message)) => Err(message),
    })
    .await;
    println!(
        "recovered after {keys} values, {} objects and {rows} rows",
        objects.len()
    );
}

#[test]
fn a_full_volume_refuses_writes_plainly_over_grpc_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Apart {
        test: "disk_full::child_on_a_small_disk",
        mount: "mkdir -p \"$1/data\"; mount -t tmpfs -o size=32m tmpfs \"$1/data\"",
        place: folder.path(),
        environment: &[(FOLDER, folder.path())],
        as_root: false,
        word: "recovered",
    };
    apart.run("a `shoal-store` on a full disk");
}
