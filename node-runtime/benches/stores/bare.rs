//! Clients without Shoal: one value under one key, in the way that their documentation shows first.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use rusqlite::Connection;
use shoal_stores::{Backend, StoreId, StoreLimits};
use tokio_postgres::{Client, NoTls, Statement};

/// A client.
#[async_trait]
pub trait Bare: Send + Sync {
    async fn get(&self, key: &str) -> bool;
    async fn set(&self, key: &str, value: &[u8]);
}

/// Nanoseconds that each of `count` operations took, one after the other.
pub async fn times(bare: &dyn Bare, operation: &str, count: usize, bytes: usize) -> Vec<u128> {
    let run = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let key = format!("bare{:06}", n % 1000);
        // As guests do: no value is set twice.
        let mut value = format!("{run}-{n}").into_bytes();
        value.resize(bytes, b'x');
        let began = Instant::now();
        match operation {
            "get" => assert!(bare.get(&key).await, "{key} is missing"),
            _ => bare.set(&key, &value).await,
        }
        times.push(began.elapsed().as_nanos());
    }
    times
}

pub struct BareRedis(MultiplexedConnection);

impl BareRedis {
    pub async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }
}

#[async_trait]
impl Bare for BareRedis {
    async fn get(&self, key: &str) -> bool {
        let value: Option<Vec<u8>> = self.0.clone().get(key).await.unwrap();
        value.is_some()
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.0.clone().set::<_, _, ()>(key, value).await.unwrap();
    }
}

pub struct BarePostgres {
    client: Client,
    get: Statement,
    set: Statement,
}

impl BarePostgres {
    pub async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let table = "CREATE TABLE bare(key bytea PRIMARY KEY, value bytea NOT NULL)";
        client.batch_execute(table).await.unwrap();
        let get = client.prepare("SELECT value FROM bare WHERE key = $1");
        let get = get.await.unwrap();
        let set = "INSERT INTO bare(key, value) VALUES ($1, $2)
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        let set = client.prepare(set).await.unwrap();
        Self { client, get, set }
    }
}

#[async_trait]
impl Bare for BarePostgres {
    async fn get(&self, key: &str) -> bool {
        let found = self.client.query_opt(&self.get, &[&key.as_bytes()]).await;
        found.unwrap().is_some()
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let key = key.as_bytes();
        self.client
            .execute(&self.set, &[&key, &value])
            .await
            .unwrap();
    }
}

/// SQLite on the calling thread: no task, no queue, nobody else.
pub struct BareSqlite(Mutex<Connection>);

impl BareSqlite {
    pub fn open(file: &Path, synchronous: &str) -> Self {
        let connection = Connection::open(file).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .pragma_update(None, "synchronous", synchronous)
            .unwrap();
        connection
            .execute_batch("CREATE TABLE bare(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
            .unwrap();
        Self(Mutex::new(connection))
    }
}

#[async_trait]
impl Bare for BareSqlite {
    async fn get(&self, key: &str) -> bool {
        let connection = self.0.lock().unwrap();
        let get = "SELECT value FROM bare WHERE key = ?1";
        let mut get = connection.prepare_cached(get).unwrap();
        let value: Vec<u8> = get.query_row([key.as_bytes()], |row| row.get(0)).unwrap();
        !value.is_empty()
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let connection = self.0.lock().unwrap();
        let set = "INSERT INTO bare(key, value) VALUES (?1, ?2)
                   ON CONFLICT(key) DO UPDATE SET value = excluded.value";
        let mut set = connection.prepare_cached(set).unwrap();
        set.execute((key.as_bytes(), value)).unwrap();
    }
}

/// A backend of Shoal's, as the host of a guest calls it: what the guest itself adds is the rest.
pub struct WithoutGuest {
    backend: Arc<dyn Backend>,
    store: StoreId,
}

impl WithoutGuest {
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        let store = StoreId::random();
        Self { backend, store }
    }

    pub fn store(&self) -> StoreId {
        self.store
    }
}

#[async_trait]
impl Bare for WithoutGuest {
    async fn get(&self, key: &str) -> bool {
        let keys = vec![key.to_owned()];
        let values = self.backend.get(self.store, keys).await.unwrap();
        values.iter().all(Option::is_some)
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let pairs = vec![(key.to_owned(), value.to_vec().into())];
        let limits = StoreLimits::default();
        self.backend.set(self.store, pairs, limits).await.unwrap();
    }
}
