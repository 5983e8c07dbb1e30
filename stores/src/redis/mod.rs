//! Key-value stores on a Redis server (7 or 6.2, or Valkey), or whatever speaks as one does.
//!
//! # What lies on the server
//!
//! A Store is three keys, `<prefix>:{<store id>}:` and then
//! - `values`, a hash of all values by key;
//! - `index`, a sorted set of all keys, each of score 0;
//! - `size`, the number of bytes of all keys and values.
//!
//! One more key holds the id of the place that the server is (see `place`).
//!
//! Every write is one Lua script that changes all three or none, so that they never differ.
//!
//! **A hash, and not a key of the server's for each key of the Store.** The server then never parses
//! what a guest chose: there is no escape to forget, and a Store's keys cannot be confused with another's.
//! A value costs no prefix of 50 bytes and no key object; a small Store is one compact block. A Store of
//! any size is deleted with one `UNLINK`, in the background. Its keys could not be spread over the slots
//! of a cluster either way: scripts need them in one slot. What a hash has against it, that moving a slot
//! moves a Store in one piece, is what a Store in one slot has as well.
//!
//! **A sorted set, and not `SCAN`.** Members of one score are in byte order, which is the order that
//! listings promise: a page is found in logarithmic time and is exact, however many keys come and go
//! meanwhile. `SCAN` has no order, gives keys twice, and walks the whole server, all tenants' keys, for
//! any page of any Store; with a hash, `HSCAN` has the first two faults. The price is about 100 bytes for
//! each key, and a second write for each key that is new (none for one that exists).
//!
//! # What a write survives
//!
//! What the server's own settings say. A write is acknowledged when the server answers:
//! with `appendonly yes` and `appendfsync always` it is on its disk then and survives the loss of power;
//! with `everysec` (the default of append-only files) the last second may be lost; with snapshots only,
//! everything since the last one. Replicas are asynchronous: a failover may lose the last writes. A
//! server that may evict keys (`maxmemory-policy allkeys-*`) loses whole Stores; `noeviction` is right.
//!
//! # Calls
//!
//! A few connections are shared by all calls; each call takes the one with the least to do, so that large
//! answers do not hold up what has another way. Every call ends within 5 s. Whatever happens to a
//! connection or to the server, later calls make new connections by themselves. A write whose connection
//! broke before its answer fails, and is not repeated: between the two another one's write may have been
//! seen. What was certainly not done is.
//!
//! # Clusters
//!
//! The URL may name any server of a Redis Cluster. A Store is in one slot; the server that is asked says
//! which other has it, if another has, and that one is asked from then on, until it says otherwise or is
//! away. Connections are counted for each server. With TLS the servers must announce names that their
//! certificates hold. While a slot moves, a Store whose three keys are not all on one side waits.
//!
//! # Permissions
//!
//! An ACL user needs `~<prefix>:*` and `+@connection +eval +evalsha +hget +hmget +hstrlen +hexists +hset
//! +hdel +hincrby +hlen +zadd +zrem +zrangebylex +get +incrby +decrby +del +unlink`.

mod answer;
mod call;
mod calls;
mod cluster;
mod connection;
mod fault;
mod names;
mod options;
mod place;
mod pool;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

pub use self::options::{InvalidRedisOptions, RedisOptions};
use self::{
    answer::Sum,
    call::{Call, Run, Script},
    calls::{Calls, Repeat},
    cluster::Servers,
    fault::Fault,
    names::Names,
    place::Wanted,
};
use crate::{
    Backend, Connections, Health, KeyValue, KeyValueError, PlaceId, StoreId, StoreLimits, Usage,
    key_value::{KeyPage, Swap},
    limits::{self, MAX_BYTES_PER_CALL, MAX_PAGE_BYTES, MAX_PAGE_KEYS},
    place::Home,
};

/// All operations of a probe end by then.
const HEALTH: Duration = Duration::from_secs(5);

/// The stores on one Redis server. See the module.
pub struct Redis {
    calls: Calls,
}

impl Redis {
    /// The stores on the server of `options`. Connects with the first call, which must be made within a
    /// tokio runtime.
    ///
    /// # Errors
    /// The options say nothing that could be connected to.
    pub fn new(options: &RedisOptions) -> Result<Self, InvalidRedisOptions> {
        let servers = Servers::new(options.server()?, options.max_connections);
        let wanted = Wanted {
            prefix: options.prefix.clone(),
            home: Home::new(options.place),
        };
        Ok(Self {
            calls: Calls::new(servers, wanted),
        })
    }

    /// Uses `options`, but for the place, from the next call on: another password, server address or number of connections.
    /// Calls under way end on their connections, which are then closed; for those 5 s at most, there may
    /// be as many connections again.
    ///
    /// # Errors
    /// The options cannot be used, or name another prefix. Nothing has changed then.
    pub fn reconfigure(&self, options: &RedisOptions) -> Result<(), InvalidRedisOptions> {
        let server = options.server()?;
        if options.prefix != self.calls.wanted.prefix {
            return Err(InvalidRedisOptions::PrefixChanged);
        }
        self.calls
            .replace(Servers::new(server, options.max_connections));
        Ok(())
    }

    /// Does every operation once, in a Store that is nobody's.
    ///
    /// # Errors
    /// The server is not there, or does not do or permit one of them.
    async fn probe(&self) -> Result<(), KeyValueError> {
        let (store, limits) = (StoreId::NONE, StoreLimits::default());
        let (key, number) = (|| "probe".to_owned(), || "number".to_owned());
        self.calls.find_place().await?;
        let value = Bytes::from_static(b"1");
        self.set(store, vec![(key(), value.clone())], limits)
            .await?;
        self.increment(store, number(), 1, limits).await?;
        self.compare_and_swap(store, key(), Some(value.clone()), value, limits)
            .await?;
        self.get(store, vec![key()]).await?;
        self.get(store, vec![key(), number()]).await?;
        self.exists(store, key()).await?;
        self.list_keys(store, None, 1).await?;
        self.usage(store).await?;
        self.delete(store, vec![key(), number()]).await?;
        self.purge(store).await
    }

    fn names(&self, store: StoreId) -> Names {
        Names::new(&self.calls.wanted.prefix, store)
    }

    /// `answer`: about how many bytes it will have.
    async fn read(
        &self,
        script: &'static Script,
        store: StoreId,
        keys: Vec<Vec<u8>>,
        args: Vec<Bytes>,
        answer: usize,
    ) -> Result<::redis::Value, KeyValueError> {
        let run = Run::Script(script);
        let call = Call {
            run,
            keys,
            args,
            answer,
        };
        self.calls.run(Repeat::Always, store, call).await
    }

    /// Runs a script that may make a Store grow, within `limits`.
    async fn put(
        &self,
        script: &'static Script,
        store: StoreId,
        mut args: Vec<Bytes>,
        limits: StoreLimits,
    ) -> Result<::redis::Value, KeyValueError> {
        let most = |limit: Option<u64>| limit.map_or_else(Bytes::new, number);
        args.splice(0..0, [most(limits.keys), most(limits.bytes)]);
        answer::unless_refused(self.write(script, store, args).await?, limits)
    }

    async fn write(
        &self,
        script: &'static Script,
        store: StoreId,
        args: Vec<Bytes>,
    ) -> Result<::redis::Value, KeyValueError> {
        let call = Call {
            run: Run::Script(script),
            keys: self.names(store).all(),
            args,
            answer: 0,
        };
        self.calls.run(Repeat::Undone, store, call).await
    }

    /// A command on one key of a Store.
    async fn look_up(
        &self,
        command: &'static str,
        store: StoreId,
        key: String,
    ) -> Result<::redis::Value, KeyValueError> {
        let call = Call {
            run: Run::Command(command),
            keys: vec![self.names(store).values],
            args: vec![Bytes::from(key)],
            answer: 0,
        };
        self.calls.run(Repeat::Always, store, call).await
    }
}

fn number(number: impl ToString) -> Bytes {
    Bytes::from(number.to_string())
}

#[async_trait]
impl KeyValue for Redis {
    async fn get(
        &self,
        store: StoreId,
        mut keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        limits::check_keys(&keys)?;
        let asked = keys.len();
        if asked <= 1 {
            // Most calls are such. No value is larger than one call may carry.
            let Some(key) = keys.pop() else {
                return Ok(Vec::new());
            };
            let answer = self.look_up("HGET", store, key).await?;
            return Ok(vec![answer::value(answer)?]);
        }
        let mut args = vec![number(MAX_BYTES_PER_CALL)];
        args.extend(keys.into_iter().map(Bytes::from));
        let names = vec![self.names(store).values];
        let answer = self
            .read(&call::GET, store, names, args, asked * 1024)
            .await?;
        answer::values(answer, asked)
    }

    async fn set(
        &self,
        store: StoreId,
        mut pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError> {
        limits::check_pairs(&pairs, limits)?;
        if pairs.is_empty() {
            return Ok(());
        }
        if pairs.len() > 1 {
            // Of pairs with one key the last stays.
            let last: HashMap<_, _> = pairs.into_iter().collect();
            pairs = last.into_iter().collect();
        }
        let args = pairs
            .into_iter()
            .flat_map(|(key, value)| [Bytes::from(key), value])
            .collect();
        self.put(&call::SET, store, args, limits).await.map(drop)
    }

    async fn delete(&self, store: StoreId, mut keys: Vec<String>) -> Result<(), KeyValueError> {
        limits::check_keys(&keys)?;
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Ok(());
        }
        let args = keys.into_iter().map(Bytes::from).collect();
        self.write(&call::DELETE, store, args).await.map(drop)
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        limits::check_call_bytes(key.len())?;
        answer::truth(self.look_up("HEXISTS", store, key).await?)
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        limits::check_call_bytes(after.as_ref().map_or(0, String::len))?;
        let limit = limit.min(MAX_PAGE_KEYS);
        let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let args = vec![Bytes::from(from), number(limit), number(MAX_PAGE_BYTES)];
        let names = vec![self.names(store).index];
        let expected = limit as usize * 64;
        let answer = self.read(&call::LIST, store, names, args, expected).await?;
        answer::page(answer)
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        limits::check_key(&key, limits)?;
        let args = vec![key.into(), number(delta), number(limits.value_bytes)];
        match answer::sum(self.put(&call::INCREMENT, store, args, limits).await?)? {
            Sum::Is(sum) => Ok(sum),
            Sum::NotAnInteger => Err(KeyValueError::NotAnInteger),
            Sum::TooLong(bytes) => {
                limits::check_value(bytes, limits)?;
                Err(answer::nonsense())
            }
        }
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        limits::check_key(&key, limits)?;
        limits::check_value(value.len(), limits)?;
        limits::check_call_bytes(value.len() + expected.as_ref().map_or(0, Bytes::len))?;
        let mut args = vec![key.into(), value];
        args.extend(expected);
        answer::swap(self.put(&call::SWAP, store, args, limits).await?)
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        let Names { values, size, .. } = self.names(store);
        let answer = self
            .read(&call::USAGE, store, vec![values, size], Vec::new(), 0)
            .await?;
        answer::usage(answer)
    }

    /// One step: the server frees what it unlinked in the background.
    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        let call = Call {
            run: Run::Command("UNLINK"),
            keys: self.names(store).all(),
            args: Vec::new(),
            answer: 0,
        };
        self.calls.run(Repeat::Always, store, call).await.map(drop)
    }
}

#[async_trait]
impl Backend for Redis {
    /// Does every operation once, in a Store that is nobody's.
    async fn health(&self) -> Health {
        let late = || Err(Fault::Late.into());
        match timeout(HEALTH, self.probe())
            .await
            .unwrap_or_else(|_| late())
        {
            Ok(()) => Health::Reachable,
            Err(error) => fault::health(&error),
        }
    }

    fn place(&self) -> Option<PlaceId> {
        self.calls.wanted.home.unrecorded()
    }

    fn keep_to(&self, place: Option<PlaceId>) {
        self.calls.wanted.home.record(place);
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.calls.connections())
    }
}
