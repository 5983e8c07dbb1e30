//! Limits of Stores as guests run into them: each is an error of the interface's own that names the limit,
//! and the app's owner is told once.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use shoal_crds::Reason;
use shoal_runtime::{
    Assignment,
    stores::{ClassBackend, ClassDescription, Notice},
};
use shoal_stores::{
    Backend, KeyValue, MAX_PAGE_BYTES, MAX_PAGE_KEYS, Memory, Postgres, Redis, StoreId,
    StoreLimits, memory::MemoryOptions,
};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::store_servers::{postgres, postgres_server, redis, text};
use crate::support::{TestNode, app_of_class, limited, paged::Paged, redis_server::RedisServer};

/// What a guest of each interface says of an error that has no word of its own.
const INTERFACES: [(&str, &str); 5] = [
    ("kv", "500 other: "),
    ("kv-draft", "500 other: "),
    ("kv-spin", "500 other: "),
    ("kv-spin-v1", "500 io: "),
    ("kv-spin-v3", "500 other: "),
];

struct Bounded {
    node: TestNode,
    stores: Arc<Memory>,
    notices: Receiver<Notice>,
}

impl Bounded {
    /// A node with the class `bounded` in memory.
    fn by(limits: StoreLimits) -> Self {
        let node = TestNode::start();
        let stores = Arc::new(Memory::new(MemoryOptions::default()));
        let mut class = ClassDescription::new("bounded", ClassBackend::Own(stores.clone()));
        class.limits = limits;
        let notices = node.node.stores().notices();
        node.node.stores().replace(vec![class]);
        Self {
            node,
            stores,
            notices,
        }
    }

    /// The owner of `app` was told of the limit just now, and of nothing else.
    fn told_once(&mut self, app: &str, said: &str) {
        let notice = self.notices.try_recv().unwrap();
        assert_eq!(notice.app.name, app);
        assert_eq!(notice.reason, Reason::StoreLimitReached);
        let message = &notice.message;
        assert!(
            message.starts_with("store `default` (class `bounded`): ") && message.contains(said),
            "{message}"
        );
        assert_eq!(self.notices.try_recv(), Err(TryRecvError::Empty));
    }
}

fn bounded(guest: &str) -> Assignment {
    app_of_class(guest, guest, "bounded")
}

#[track_caller]
fn refused(answer: &str, error: &str, limit: &str) {
    assert!(
        answer.starts_with(error) && answer.contains(limit),
        "{answer}"
    );
}

#[tokio::test]
async fn a_store_that_holds_as_many_keys_as_it_may_takes_no_other() {
    let limits = StoreLimits {
        keys: Some(2),
        ..StoreLimits::default()
    };
    let mut bounded_to_two = Bounded::by(limits);
    let apps = INTERFACES.map(|(guest, _)| bounded(guest));
    let addresses = bounded_to_two.node.serve(apps).await;
    for ((guest, error), app) in INTERFACES.into_iter().zip(addresses) {
        assert_eq!(text(app, "/set/a/1").await, "200 set");
        assert_eq!(text(app, "/set/b/1").await, "200 set");
        for key in ["c", "d"] {
            let answer = text(app, &format!("/set/{key}/1")).await;
            refused(&answer, error, "3 keys in one store");
        }
        bounded_to_two.told_once(guest, "limit of 2");
        assert_eq!(text(app, "/set/a/22").await, "200 set", "none is added");
        assert_eq!(text(app, "/delete/b").await, "200 deleted");
        assert_eq!(text(app, "/set/c/1").await, "200 set", "there is room");
    }
}

#[tokio::test]
async fn a_store_that_holds_as_many_bytes_as_it_may_takes_no_more() {
    let limits = StoreLimits {
        bytes: Some(100),
        ..StoreLimits::default()
    };
    let mut bounded_to_100 = Bounded::by(limits);
    let apps = INTERFACES.map(|(guest, _)| bounded(guest));
    let addresses = bounded_to_100.node.serve(apps).await;
    for ((guest, error), app) in INTERFACES.into_iter().zip(addresses) {
        assert_eq!(text(app, "/big/k/99").await, "200 set");
        for _ in 0..2 {
            let answer = text(app, "/big/k/100").await;
            refused(&answer, error, "101 bytes of keys and values in one store");
        }
        bounded_to_100.told_once(guest, "limit of 100");
        assert_eq!(text(app, "/big/k/9").await, "200 set", "less is possible");
    }
}

#[tokio::test]
async fn keys_and_values_of_every_interface_are_bounded() {
    let limits = StoreLimits {
        key_bytes: 3,
        value_bytes: 4,
        ..StoreLimits::default()
    };
    let mut small = Bounded::by(limits);
    let apps = INTERFACES.map(|(guest, _)| bounded(guest));
    let addresses = small.node.serve(apps).await;
    for ((guest, error), app) in INTERFACES.into_iter().zip(addresses) {
        refused(&text(app, "/set/four/1").await, error, "at most 3");
        refused(&text(app, "/big/k/5").await, error, "at most 4");
        small.told_once(guest, "at most 3");
        assert_eq!(text(app, "/big/key/4").await, "200 set");
    }
}

/// Puts `count` keys of `prefix` into a Store, as many at once as one call takes.
async fn fill(stores: &dyn KeyValue, store: StoreId, prefix: &str, count: usize, value: &Bytes) {
    let keys: Vec<String> = (0..count).map(|n| format!("{prefix}{n:06}")).collect();
    for some in keys.chunks(1000) {
        let pairs = some.iter().map(|key| (key.clone(), value.clone()));
        let limits = StoreLimits::default();
        stores.set(store, pairs.collect(), limits).await.unwrap();
    }
}

#[tokio::test]
async fn one_call_returns_no_more_values_than_it_may_carry() {
    let mut node = Bounded::by(StoreLimits::default());
    let guests = ["kv", "kv-draft"];
    let apps = guests.map(|guest| {
        let roomy = limited(guest, guest, |limits| limits.memory = 64 << 20);
        let mut app = bounded(guest);
        app.limits = roomy.limits;
        app
    });
    let ids = apps.each_ref().map(|app| app.components[0].stores[0].id);
    let addresses = node.node.serve(apps).await;
    let mebibyte = Bytes::from(vec![b'x'; 1 << 20]);
    let all = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("k{n:06}")).collect();
        format!("/get-many/{}", keys.join(","))
    };
    for ((guest, app), id) in guests.into_iter().zip(addresses).zip(ids) {
        for n in 0..9 {
            let pair = vec![(format!("k{n:06}"), mebibyte.clone())];
            let set = node.stores.set(id, pair, StoreLimits::default());
            set.await.unwrap();
        }
        for _ in 0..2 {
            let answer = text(app, &all(9)).await;
            refused(&answer, "500 other: ", "8388608");
        }
        node.told_once(guest, "8388608");
        assert!(text(app, &all(2)).await.starts_with("200 "));
        node.stores.purge(id).await.unwrap();
    }
}

#[tokio::test]
async fn keys_that_one_call_cannot_return_are_listed_in_pages_or_as_a_stream() {
    let mut node = Bounded::by(StoreLimits::default());
    let apps = INTERFACES.map(|(guest, _)| {
        let roomy = limited(guest, guest, |limits| limits.memory = 64 << 20);
        let mut app = bounded(guest);
        app.limits = roomy.limits;
        app
    });
    let ids = apps.each_ref().map(|app| app.components[0].stores[0].id);
    let addresses = node.node.serve(apps).await;
    let (long, value) = ("k".repeat(1000), Bytes::from_static(b"x"));
    for (((guest, error), app), id) in INTERFACES.into_iter().zip(addresses).zip(ids) {
        fill(&*node.stores, id, &long, 4500, &value).await;
        let answer = text(app, "/keys").await;
        if ["kv-spin", "kv-spin-v1"].contains(&guest) {
            refused(&answer, error, "4194304 bytes");
            node.told_once(guest, "4194304 bytes");
        } else {
            assert_eq!(answer.lines().count(), 4500, "{guest}");
        }
        node.stores.purge(id).await.unwrap();
    }
}

#[tokio::test]
async fn an_owner_is_told_once_of_an_app_that_opens_too_many_stores() {
    let mut node = Bounded::by(StoreLimits::default());
    let guests = ["kv-spin-v1", "kv-spin-v3"];
    let addresses = node.node.serve(guests.map(bounded)).await;
    for (guest, app) in guests.into_iter().zip(addresses) {
        for _ in 0..2 {
            let many = text(app, "/opened/5000").await;
            assert!(many.starts_with("200 256: "), "{many}");
        }
        node.told_once(guest, "256 stores are open already");
    }
}

/// Lists a large Store through a guest that reads page after page, and one that leaves the stream early.
async fn lists_in_pages(backend: Arc<dyn Backend>) {
    const KEYS: usize = 3500;
    let node = TestNode::start();
    let paged = Arc::new(Paged::over(backend));
    let class = ClassDescription::new("paged", ClassBackend::Own(paged.clone()));
    node.node.stores().replace(vec![class]);
    let apps = ["kv", "kv-spin-v3"].map(|guest| app_of_class(guest, guest, "paged"));
    let ids = apps.each_ref().map(|app| app.components[0].stores[0].id);
    let [kv, stream]: [SocketAddr; 2] = node.serve(apps).await;
    for id in ids {
        fill(&*paged, id, "k", KEYS, &Bytes::from_static(b"x")).await;
    }
    for app in [kv, stream] {
        let answer = text(app, "/keys").await;
        let keys: Vec<&str> = answer.trim_start_matches("200 ").lines().collect();
        assert_eq!(keys.len(), KEYS);
        assert!(keys.is_sorted());
        let pages = paged.take();
        assert_eq!(pages.len(), 4, "{pages:?}");
        for page in pages {
            assert!(page.keys <= MAX_PAGE_KEYS as usize, "{page:?}");
            assert!(page.bytes <= MAX_PAGE_BYTES, "{page:?}");
        }
    }
    let first = text(stream, "/first/3").await;
    assert_eq!(first, "200 k000000\nk000001\nk000002");
    node.until_running(0).await;
    let pages = paged.take().len();
    assert!(pages <= 2, "{pages} pages for three keys");
}

#[tokio::test]
async fn a_large_store_in_memory_is_listed_in_pages() {
    lists_in_pages(Arc::new(Memory::new(MemoryOptions::default()))).await;
}

#[tokio::test]
async fn a_large_embedded_store_is_listed_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = shoal_stores::Embedded::open(
        folder.path(),
        shoal_stores::embedded::EmbeddedOptions::default(),
    );
    lists_in_pages(Arc::new(embedded.unwrap())).await;
}

#[tokio::test]
async fn a_large_store_in_redis_is_listed_in_pages() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let ClassBackend::Redis(options) = redis(server.url()).backend else {
        panic!("a class on Redis");
    };
    lists_in_pages(Arc::new(Redis::new(&options).unwrap())).await;
}

#[tokio::test]
async fn a_large_store_in_postgres_is_listed_in_pages() {
    let Some(server) = postgres_server("listing in pages").await else {
        return;
    };
    let ClassBackend::Postgres(options) = postgres(server.url()).backend else {
        panic!("a class on Postgres");
    };
    lists_in_pages(Arc::new(Postgres::new(&options).unwrap())).await;
}
