//! What is counted and removed while some of it fails.

use std::{fs, net::TcpListener, time::Duration};

use shoal_protocol::v1::{self, GrantSet, store_class::Backend as Message};

use super::*;
use crate::{
    Backend, Embedded, EmbeddedBlobs, EmbeddedSql, Health, KeyValue, Memory, StoreLimits,
    embedded::{Durability, EmbeddedOptions},
    memory::MemoryOptions,
    sql::{Session, Sql as _, Statement},
};

/// The shard that is damaged.
const DAMAGED: u8 = 2;

struct Pod {
    of: Arc<Housekeeping>,
    embedded: Arc<Embedded>,
    memory: Arc<Memory>,
    sql: Arc<EmbeddedSql>,
    _folder: tempfile::TempDir,
}

fn pod(damage: bool) -> Pod {
    let folder = tempfile::tempdir().unwrap();
    let stores = folder.path().join("stores");
    drop(Embedded::open(&stores, EmbeddedOptions::default()).unwrap());
    if damage {
        let file = stores.join(format!("kv-{DAMAGED}.db"));
        fs::write(file, vec![7; 64 * 1024]).unwrap();
    }
    // No test of these ends with the machine.
    let relaxed = EmbeddedOptions {
        durability: Durability::Relaxed,
        ..EmbeddedOptions::default()
    };
    let embedded = Arc::new(Embedded::open(&stores, relaxed).unwrap());
    let memory = Arc::new(Memory::new(MemoryOptions::default()));
    let sql = EmbeddedSql::open(&folder.path().join("sql"), Durability::Relaxed);
    let sql = Arc::new(sql.unwrap());
    let own = Backends {
        embedded: embedded.clone(),
        memory: memory.clone(),
        blobs: Arc::new(
            EmbeddedBlobs::open(&folder.path().join("blobs"), Durability::Relaxed).unwrap(),
        ),
        sql: sql.clone(),
    };
    let grants = Grants::fixed(GrantSet::default());
    Pod {
        of: Housekeeping::new(own, grants, &folder.path().join("catalog.db")),
        embedded,
        memory,
        sql,
        _folder: folder,
    }
}

fn class(name: &str, backend: Message) -> v1::StoreClass {
    v1::StoreClass {
        name: name.to_owned(),
        backend: Some(backend),
        ..v1::StoreClass::default()
    }
}

fn in_memory(name: &str) -> v1::StoreClass {
    class(name, Message::Memory(v1::MemoryBackend {}))
}

fn duty(store: StoreId, class: &str) -> Duty {
    Duty::read(v1::Duty {
        store_id: store.to_string(),
        class: class.to_owned(),
        ..v1::Duty::default()
    })
    .unwrap()
}

fn purge(of: &Housekeeping, store: StoreId, class: &str) {
    of.purge(v1::Purge {
        store_id: store.to_string(),
        class: class.to_owned(),
    });
}

fn in_shard(is: impl Fn(u8) -> bool) -> StoreId {
    loop {
        let store = StoreId::random();
        if is(store.as_bytes()[15] % 4) {
            return store;
        }
    }
}

/// In the order in which they are come by.
fn ids<const N: usize>() -> [StoreId; N] {
    let mut ids = [(); N].map(|()| StoreId::random());
    ids.sort_unstable();
    ids
}

async fn fill(stores: &dyn KeyValue, store: StoreId) {
    let pair = vec![("key".to_owned(), "value".into())];
    let set = stores.set(store, pair, StoreLimits::default());
    set.await.unwrap();
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..18_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

#[tokio::test]
async fn what_a_store_may_hold_is_known_with_its_class() {
    let pod = pod(false);
    let [store, stranger] = ids();
    assert_eq!(pod.of.of(store), None);
    let limits = v1::StoreLimits {
        keys: 7,
        ..v1::StoreLimits::default()
    };
    let class = v1::StoreClass {
        limits: Some(limits),
        ..in_memory("small")
    };
    pod.of.duties.lock().set(duty(store, "small"));
    assert_eq!(pod.of.of(store), None);
    pod.of.classes.lock().replace(told(vec![class], &[]));
    assert_eq!(pod.of.of(store), Some(limits));
    assert_eq!(pod.of.of(stranger), None);
}

#[tokio::test]
async fn a_shard_that_is_damaged_holds_up_its_own_stores_alone() {
    let pod = pod(true);
    assert_ne!(pod.embedded.health().await, Health::Reachable);
    let well: Vec<_> = (0..20)
        .map(|_| in_shard(|shard| shard != DAMAGED))
        .collect();
    let ill: Vec<_> = (0..6).map(|_| in_shard(|shard| shard == DAMAGED)).collect();
    for store in &well {
        fill(&*pod.embedded, *store).await;
    }
    let duties = well
        .iter()
        .chain(&ill)
        .map(|store| duty(*store, "embedded"));
    pod.of.changed(duties.collect(), Vec::new()).await;
    pod.of.classes.lock().replace(told(Vec::new(), &[]));
    let is_counted = |store: &StoreId| pod.of.usages.lock().contains_key(store);
    until("all that can be are counted", || {
        well.iter().all(is_counted)
    })
    .await;
    assert!(!ill.iter().any(is_counted));

    purge(&pod.of, ill[0], "embedded");
    purge(&pod.of, well[0], "embedded");
    until("what can be is removed", || pod.of.purges.done() == 1).await;
    assert_eq!(pod.embedded.usage(well[0]).await.unwrap().keys, 0);
    let problem = || pod.of.purges.problem(ill[0]);
    until("it is said why the other is not", || problem().is_some()).await;
    assert!(problem().unwrap().contains("StoreClass `embedded`"));
}

#[tokio::test]
async fn what_is_not_to_go_any_more_stays_though_it_could_go_later() {
    let pod = pod(false);
    let [gone, kept, last] = ids();
    for store in [gone, kept, last] {
        fill(&*pod.memory, store).await;
    }
    let duties = [gone, kept].map(|store| duty(store, "away"));
    pod.of.changed(duties.to_vec(), Vec::new()).await;
    for store in [gone, kept] {
        purge(&pod.of, store, "away");
        let is_tried = || pod.of.purges.problem(store).is_some();
        until("it cannot be removed", is_tried).await;
    }
    // The Store goes without its data; of the other it is said again that it is there, and nothing else.
    pod.of.changed(vec![duty(kept, "away")], vec![gone]).await;
    pod.of
        .classes
        .lock()
        .replace(told(vec![in_memory("away")], &[]));
    purge(&pod.of, last, "away");
    until("others are removed", || pod.of.purges.done() == 1).await;
    assert_eq!(pod.memory.usage(last).await.unwrap().keys, 0);
    for store in [gone, kept] {
        assert_eq!(pod.memory.usage(store).await.unwrap().keys, 1);
    }
}

fn told(classes: Vec<v1::StoreClass>, keep: &[&str]) -> v1::StoreClasses {
    let keep = keep.iter().map(|name| (*name).to_owned()).collect();
    v1::StoreClasses { classes, keep }
}

#[tokio::test]
async fn a_class_whose_credentials_cannot_be_read_stays_and_one_that_is_not_named_goes() {
    let pod = pod(false);
    let both = vec![in_memory("one"), in_memory("two")];
    pod.of.classes.lock().replace(told(both, &[]));
    let kept = told(vec![], &["one", "never-known"]);
    pod.of.classes.lock().replace(kept);
    let is_known = |name| pod.of.classes.lock().holdings(name).is_ok();
    let known = ["one", "two", "never-known", "embedded"].map(is_known);
    assert_eq!(known, [true, false, false, true]);
}

#[tokio::test]
async fn a_class_that_is_told_its_place_goes_on_and_one_that_is_told_more_begins_anew() {
    let pod = pod(false);
    let at = |url: &str, place: &str| {
        let redis = v1::RedisBackend {
            url: url.to_owned(),
            place: place.to_owned(),
            ..v1::RedisBackend::default()
        };
        told(vec![class("one", Message::Redis(redis))], &[])
    };
    let open = |url, place| {
        let mut classes = pod.of.classes.lock();
        classes.replace(at(url, place));
        classes.holdings("one").unwrap()
    };
    let first = open("redis://127.0.0.1:1", "");
    let same = |other| Arc::ptr_eq(&first, &other);
    assert!(same(open("redis://127.0.0.1:1", "00000000000000aa")));
    assert!(!same(open("redis://127.0.0.1:1", "00000000000000bb")));
    assert!(!same(open("redis://127.0.0.1:2", "00000000000000bb")));
}

#[tokio::test]
async fn a_class_that_does_not_answer_holds_up_no_other() {
    let pod = pod(false);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let redis = v1::RedisBackend {
        url: format!("redis://{}", silent.local_addr().unwrap()),
        ..v1::RedisBackend::default()
    };
    let classes = vec![class("silent", Message::Redis(redis)), in_memory("memory")];
    pod.of.classes.lock().replace(told(classes, &[]));
    let [one, two, three, other] = ids();
    for store in [one, two, three] {
        purge(&pod.of, store, "silent");
    }
    purge(&pod.of, other, "memory");
    until("the other is removed", || pod.of.purges.done() == 1).await;
    assert_eq!(pod.of.purges.problem(three), None, "it waits for its turn");
}

#[tokio::test]
async fn a_database_is_counted_and_goes_with_its_store() {
    let pod = pod(false);
    let [gone, kept] = ids();
    for store in [gone, kept] {
        let statement = Statement {
            text: "CREATE TABLE t(a)".into(),
            parameters: Vec::new(),
        };
        let mut session = Session::new(store);
        let made = pod
            .sql
            .execute(&mut session, statement, StoreLimits::default());
        made.await.unwrap();
    }
    let duties = [gone, kept].map(|store| duty(store, "embedded"));
    pod.of.changed(duties.to_vec(), Vec::new()).await;
    pod.of.classes.lock().replace(told(Vec::new(), &[]));
    let bytes = pod.sql.bytes(gone).await.unwrap();
    until("both are counted", || {
        let usages = pod.of.usages.lock();
        let is_counted = |store| usages.get(store).is_some_and(|usage| usage.bytes == bytes);
        bytes > 0 && [gone, kept].iter().all(is_counted)
    })
    .await;

    purge(&pod.of, gone, "embedded");
    until("it is removed", || pod.of.purges.done() == 1).await;
    assert_eq!(pod.sql.bytes(gone).await.unwrap(), 0);
    assert_eq!(pod.sql.bytes(kept).await.unwrap(), bytes);
}
