//! Servers that are away, slow, full, read-only or closed to us: plain errors, and nothing to restart.

use std::{fs, sync::Arc};

use bytes::Bytes;
use shoal_stores::{KeyValue, KeyValueError, Reason, Redis, RedisOptions, StoreId};

use crate::{
    get, limits, pair, reason,
    redis_server::{RedisServer, free_port, until},
    set, unavailable,
};

const DENIED: &str = "it refuses our credentials";

/// One call of each kind fails, with `reason` and nothing else.
async fn assert_all_fail(stores: &Redis, store: StoreId, reason: &str) {
    assert_eq!(get(stores, store, "key").await, unavailable(reason));
    let page = stores.list_keys(store, None, 1).await;
    assert_eq!(page, unavailable(reason));
    assert_writes_fail(stores, store, reason).await;
}

async fn assert_writes_fail(stores: &Redis, store: StoreId, reason: &str) {
    assert_eq!(set(stores, store, "key", "new").await, unavailable(reason));
    let sum = stores.increment(store, "number".into(), 1, limits()).await;
    assert_eq!(sum, unavailable(reason));
    let swap = stores
        .compare_and_swap(
            store,
            "key".into(),
            Some("old".into()),
            "new".into(),
            limits(),
        )
        .await;
    assert_eq!(swap, unavailable(reason));
}

#[tokio::test]
async fn a_server_that_is_away_fails_calls_plainly_until_it_is_back() {
    let Some(mut server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "value").await.unwrap();
    server.kill();
    // Whatever the call found: the end of its connection, or none.
    let error = set(&stores, store, "key", "value").await.unwrap_err();
    assert!(matches!(error, KeyValueError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    assert_eq!(
        get(&stores, store, "key").await,
        unavailable("it cannot be reached")
    );
    assert_eq!(reason(&stores).await, Some(Reason::Unreachable));

    server.start_again().await;
    // After a server was away for long, a call does not wait for it: the first one finds it back.
    until("writes go on", || async {
        set(&stores, store, "key", "again").await.is_ok()
    })
    .await;
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "again");
    assert_eq!(reason(&stores).await, None);
}

#[tokio::test]
async fn a_server_that_moved_is_found_where_it_is_said_to_be() {
    let Some(mut server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "value").await.unwrap();
    server.kill();
    server.port = free_port();
    server.start_again().await;
    stores.reconfigure(&server.options()).unwrap();
    set(&stores, store, "key", "there").await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "there");
    assert_eq!(reason(&stores).await, None);
}

#[tokio::test]
async fn calls_wait_for_a_server_that_restarts() {
    let Some(mut server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = Arc::new(server.stores());
    let store = StoreId::random();
    // A server that needs longer for its start than a call waits shows nothing.
    for attempt in 1.. {
        server.kill();
        let waiting = {
            let stores = stores.clone();
            tokio::spawn(async move {
                set(&stores, store, "key", "value").await?;
                stores.increment(store, "sum".into(), 1, limits()).await?;
                get(&stores, store, "key").await
            })
        };
        server.start_again().await;
        match waiting.await.unwrap() {
            Ok(value) => return assert_eq!(value.unwrap(), "value"),
            Err(error) => assert!(attempt < 10, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_silent_fails_calls_by_their_deadline() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "value").await.unwrap();
    server.stop();
    let late = "it did not answer within 5 s";
    let results = tokio::join!(
        get(&stores, store, "key"),
        set(&stores, store, "key", "new"),
        stores.increment(store, "sum".into(), 1, limits()),
    );
    assert_eq!(reason(&stores).await, Some(Reason::Unreachable));
    server.resume();
    assert_eq!(results.0, unavailable(late));
    assert_eq!(results.1, unavailable(late));
    assert_eq!(results.2, unavailable(late));
    set(&stores, store, "key", "newer").await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "newer");
    assert_eq!(reason(&stores).await, None);
}

#[tokio::test]
async fn a_server_that_pauses_for_a_moment_is_waited_for() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "old").await.unwrap();
    server.admin(&["CLIENT", "PAUSE", "700", "WRITE"]).await;
    set(&stores, store, "key", "new").await.unwrap();
    server.admin(&["CLIENT", "PAUSE", "700", "ALL"]).await;
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_replica_refuses_writes_until_it_is_the_primary() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "old").await.unwrap();
    // Of a primary that is not there: it serves what it has.
    server.admin(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_writes_fail(&stores, store, "it is read-only").await;
    assert_eq!(reason(&stores).await, Some(Reason::ReadOnly));
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "old");
    server.admin(&["REPLICAOF", "NO", "ONE"]).await;
    set(&stores, store, "key", "new").await.unwrap();
    assert_eq!(reason(&stores).await, None);
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_server_without_memory_refuses_whole_writes_and_takes_deletions() {
    let Some(server) = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "old").await.unwrap();
    let value = Bytes::from(vec![7; 100_000]);
    stores
        .set(store, vec![("large".into(), value)], limits())
        .await
        .unwrap();
    let before = stores.usage(store).await.unwrap();

    server.admin(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let full = "it is out of memory";
    assert_writes_fail(&stores, store, full).await;
    assert_eq!(reason(&stores).await, Some(Reason::ReadOnly));
    let pairs = (0..100).map(|index| (index.to_string(), Bytes::from_static(b"v")));
    let result = stores.set(store, pairs.collect(), limits()).await;
    assert_eq!(result, unavailable(full));
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "old");
    assert_eq!(
        stores.usage(store).await.unwrap(),
        before,
        "nothing was done by half"
    );
    stores.delete(store, vec!["large".into()]).await.unwrap();
    assert_eq!(stores.usage(store).await.unwrap().bytes, 6);

    server.admin(&["CONFIG", "SET", "maxmemory", "0"]).await;
    set(&stores, store, "key", "new").await.unwrap();
    assert_eq!(reason(&stores).await, None);
}

#[tokio::test]
async fn a_server_whose_disk_fails_refuses_writes_until_it_does_not() {
    let Some(server) = RedisServer::start(&["--save", "3600", "100000"]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "old").await.unwrap();
    // What is in the way of a snapshot's file.
    let in_the_way = server.folder().join("dump.rdb");
    fs::create_dir_all(in_the_way.join("x")).unwrap();
    save(&server, "err").await;
    assert_writes_fail(&stores, store, "its disk fails").await;
    assert_eq!(reason(&stores).await, Some(Reason::ReadOnly));
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "old");

    fs::remove_dir_all(in_the_way).unwrap();
    save(&server, "ok").await;
    set(&stores, store, "key", "new").await.unwrap();
    assert_eq!(reason(&stores).await, None);
}

async fn save(server: &RedisServer, status: &str) {
    server.admin(&["BGSAVE"]).await;
    let expected = format!("rdb_last_bgsave_status:{status}");
    until(&expected, || async {
        server
            .text(&["INFO", "persistence"])
            .await
            .contains(&expected)
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_know_us_says_so() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let set_user = [
        "ACL", "SETUSER", "app", "on", ">hunter2", "~shoal:*", "+@all",
    ];
    server.admin(&set_user).await;
    let store = StoreId::random();
    let as_user = |login: &str| {
        let url = format!("redis://{login}@127.0.0.1:{}/0", server.port);
        Redis::new(&RedisOptions {
            url,
            ..server.options()
        })
        .unwrap()
    };
    for login in ["app:wrong", "nobody:hunter2", ":hunter2"] {
        assert_all_fail(&as_user(login), store, DENIED).await;
    }
    let stores = as_user("app:hunter2");
    set(&stores, store, "key", "value").await.unwrap();
    // A command less: what is refused changes nothing.
    server.admin(&["ACL", "SETUSER", "app", "-hset"]).await;
    let refused = set(&stores, store, "new", "value").await;
    assert_eq!(refused, unavailable("it does not permit this operation"));
    assert_eq!(reason(&stores).await, Some(Reason::CredentialsRefused));
    let page = stores.list_keys(store, None, 10).await.unwrap();
    assert_eq!(page.keys, ["key"]);
    server.admin(&["ACL", "SETUSER", "app", "+hset"]).await;
    set(&stores, store, "new", "value").await.unwrap();

    // The default user loses its access: a connection without a login is of no use any more.
    let anonymous = server.stores();
    set(&anonymous, store, "key", "value").await.unwrap();
    server
        .admin(&["ACL", "SETUSER", "admin", "on", ">x", "~*", "+@all"])
        .await;
    server
        .admin(&["ACL", "SETUSER", "default", "resetpass", ">y"])
        .await;
    assert_all_fail(&server.stores(), store, DENIED).await;
}

#[tokio::test]
async fn the_permissions_that_are_documented_are_enough() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let permissions = "ACL SETUSER app on >hunter2 ~shoal:* +@connection +eval +evalsha +hget +hmget \
        +hstrlen +hexists +hset +hdel +hincrby +hlen +zadd +zrem +zrangebylex +get +incrby +decrby \
        +del +unlink";
    let command: Vec<_> = permissions.split_whitespace().collect();
    server.admin(&command).await;
    let url = format!("redis://app:hunter2@127.0.0.1:{}/2", server.port);
    let options = RedisOptions {
        url,
        ..server.options()
    };
    assert_eq!(reason(&Redis::new(&options).unwrap()).await, None);
    let prefix = "other".to_owned();
    let other = Redis::new(&RedisOptions { prefix, ..options }).unwrap();
    assert_eq!(reason(&other).await, Some(Reason::CredentialsRefused));
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let Some(mut server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    for round in 1..=3 {
        assert_eq!(reason(&stores).await, None);
        let sum = stores.increment(store, "sum".into(), 1, limits()).await;
        assert_eq!(sum, Ok(round));
        server.admin(&["SCRIPT", "FLUSH"]).await;
    }
    server.kill();
    server.start_again().await;
    assert_eq!(reason(&stores).await, None);
}

#[tokio::test]
async fn alien_data_under_our_names_is_an_error_and_stays() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    let name = format!("shoal:{{{store}}}:values");
    server.admin(&["SET", &name, "alien"]).await;
    assert_eq!(
        get(&stores, store, "key").await,
        unavailable("its data is damaged")
    );
    let result = stores.set(store, pair("key", "value"), limits()).await;
    assert_eq!(result, unavailable("its data is damaged"));
    assert_eq!(server.text(&["GET", &name]).await, "alien");
}
