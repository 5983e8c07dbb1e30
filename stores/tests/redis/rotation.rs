//! Credentials and servers that change under load.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::future::join_all;
use shoal_stores::{KeyValue, Redis, RedisOptions, StoreId, redis::InvalidRedisOptions};

use crate::{
    get, limits,
    redis_server::{RedisServer, until},
    set, unavailable,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_replaced_without_a_failed_call() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let user = async |rule: &str| {
        server
            .admin(&["ACL", "SETUSER", "app", "on", "~shoal:*", "+@all", rule])
            .await
    };
    let with = |password: &str| RedisOptions {
        url: format!("redis://app:{password}@127.0.0.1:{}", server.port),
        max_connections: 4,
        ..server.options()
    };
    user(">password-0").await;
    let stores = Arc::new(Redis::new(&with("password-0")).unwrap());
    let store = StoreId::random();
    let (go_on, calls) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..16)
        .map(|caller: usize| {
            let (stores, go_on, calls) = (stores.clone(), go_on.clone(), calls.clone());
            tokio::spawn(async move {
                let mut sum = 0;
                while go_on.load(Ordering::Relaxed) {
                    sum += 1;
                    let key = format!("sum-{caller}");
                    let new = stores.increment(store, key.clone(), 1, limits()).await;
                    assert_eq!(new, Ok(sum));
                    let value = get(&stores, store, &key).await.unwrap().unwrap();
                    assert_eq!(value, sum.to_string());
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=5 {
        let before = calls.load(Ordering::Relaxed);
        until("work goes on", || async {
            calls.load(Ordering::Relaxed) > before + 100
        })
        .await;
        let (old, new) = (
            format!("password-{}", round - 1),
            format!("password-{round}"),
        );
        user(&format!(">{new}")).await;
        stores.reconfigure(&with(&new)).unwrap();
        // Calls under way end on the old connections, which then go.
        until("the old ones are closed", || async {
            server.connections().await <= 4
        })
        .await;
        user(&format!("<{old}")).await;
        let with_old = Redis::new(&with(&old)).unwrap();
        let denied = get(&with_old, store, "key").await;
        assert_eq!(denied, unavailable("it refuses our credentials"));
    }
    go_on.store(false, Ordering::Relaxed);
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    // The connections of now are of the new password: they can be made again.
    server.admin(&["CLIENT", "KILL", "USER", "app"]).await;
    until("they are closed", || async {
        server.connections().await == 0
    })
    .await;
    set(&stores, store, "key", "value").await.unwrap();
    println!("{} calls, none failed", calls.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_password_that_is_wrong_spares_the_connections_that_are_there() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    server
        .admin(&["ACL", "SETUSER", "app", "on", ">old", "~shoal:*", "+@all"])
        .await;
    let with = |password: &str| RedisOptions {
        url: format!("redis://app:{password}@127.0.0.1:{}", server.port),
        ..server.options()
    };
    let stores = Redis::new(&with("old")).unwrap();
    let store = StoreId::random();
    set(&stores, store, "key", "value").await.unwrap();
    server
        .admin(&["ACL", "SETUSER", "app", "<old", ">new"])
        .await;
    // More calls at once than connections, of which no other can be opened.
    let calls = (0..20).map(|_| get(&stores, store, "key"));
    for value in join_all(calls).await {
        assert_eq!(value.unwrap().unwrap(), "value");
    }
    until("those that were refused are closed", async || {
        server.connections().await == 1
    })
    .await;
    stores.reconfigure(&with("new")).unwrap();
    set(&stores, store, "key", "new value").await.unwrap();
}

#[tokio::test]
async fn options_that_cannot_be_used_change_nothing() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    set(&stores, store, "key", "value").await.unwrap();
    let other = |change: &dyn Fn(&mut RedisOptions)| {
        let mut options = server.options();
        change(&mut options);
        stores.reconfigure(&options)
    };
    let error = other(&|options| options.prefix = "other".to_owned());
    assert_eq!(error, Err(InvalidRedisOptions::PrefixChanged));
    let error = other(&|options| options.url = "nonsense".to_owned());
    assert_eq!(error, Err(InvalidRedisOptions::Url));
    let error = other(&|options| options.max_connections = 0);
    assert_eq!(error, Err(InvalidRedisOptions::Connections(0)));
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");

    // Another server, with other data.
    let Some(second) = RedisServer::start(&[]).await else {
        return;
    };
    stores.reconfigure(&second.options()).unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap(), None);
    until("the first is left", || async {
        server.connections().await == 0
    })
    .await;
}
