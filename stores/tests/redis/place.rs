//! The data of a class is in one place, wherever its URL leads.

use std::sync::Arc;

use futures::future::join_all;
use shoal_stores::{Backend, Health, KeyValue, PlaceId, Reason, Redis, RedisOptions, StoreId};

use crate::{
    cluster::cluster,
    get,
    proxy::Proxy,
    reason,
    redis_server::{RedisServer, until},
    set, unavailable,
};

/// The place that nobody recorded yet, of a class that does well.
async fn place(stores: &Redis) -> PlaceId {
    assert_eq!(stores.health().await, Health::Reachable);
    stores.place().unwrap()
}

/// A class whose data is in `place`.
fn open_at(server: &RedisServer, place: PlaceId) -> Redis {
    let options = RedisOptions {
        place: Some(place),
        ..server.options()
    };
    Redis::new(&options).unwrap()
}

/// That every call on `stores` is refused, and its health says that the data is in `place` and `held` is here.
async fn assert_elsewhere(stores: &Redis, place: PlaceId, held: &str) {
    let store = StoreId::random();
    let says = format!("its data is in place {place}, and this server holds {held}");
    assert_eq!(get(stores, store, "key").await, unavailable(&says));
    assert_eq!(set(stores, store, "key", "lost").await, unavailable(&says));
    assert_eq!(stores.usage(store).await, unavailable(&says));
    assert_eq!(stores.purge(store).await, unavailable(&says));
    let Health::Failing { reason, message } = stores.health().await else {
        panic!("it does well");
    };
    assert_eq!(reason, Reason::InvalidConfiguration);
    assert!(message.starts_with(&says), "{message}");
    assert!(message.contains("kubectl patch storeclass"), "{message}");
    assert_eq!(stores.place(), None, "it is not told as that of the data");
}

async fn keys(server: &RedisServer) -> i64 {
    redis::from_redis_value(server.admin(&["DBSIZE"]).await).unwrap()
}

#[tokio::test]
async fn a_place_is_named_once_whoever_comes_first_with_the_rights_of_stores() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    // Those that the documentation of the backend asks for.
    let rights = "+@connection +eval +evalsha +hget +hmget +hstrlen +hexists +hset +hdel +hincrby +hlen +zadd +zrem \
                  +zrangebylex +get +incrby +decrby +del +unlink";
    let user = ["ACL", "SETUSER", "app", "on", ">word", "~shoal:*"];
    let user: Vec<_> = user.into_iter().chain(rights.split(' ')).collect();
    server.admin(&user).await;
    let options = RedisOptions {
        url: format!("redis://app:word@127.0.0.1:{}", server.port),
        ..server.options()
    };
    let nodes: Vec<_> = (0..12).map(|_| Redis::new(&options).unwrap()).collect();
    let places = join_all(nodes.iter().map(place)).await;
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");

    let other = RedisOptions {
        prefix: "other".to_owned(),
        ..server.options()
    };
    assert_ne!(place(&Redis::new(&other).unwrap()).await, places[0]);
}

#[tokio::test]
async fn other_credentials_lead_to_the_same_place() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let (stores, store) = (server.stores(), StoreId::random());
    let here = place(&stores).await;
    set(&stores, store, "key", "value").await.unwrap();
    stores.keep_to(Some(here));
    assert_eq!(stores.place(), None, "it was told");
    let user = ["ACL", "SETUSER", "app", "on", ">word", "~*", "+@all"];
    server.admin(&user).await;
    let next = RedisOptions {
        url: format!("redis://app:word@127.0.0.1:{}", server.port),
        ..server.options()
    };
    stores.reconfigure(&next).unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(reason(&stores).await, None);
    let later = open_at(&server, here);
    assert_eq!(get(&later, store, "key").await.unwrap().unwrap(), "value");
}

#[tokio::test]
async fn another_server_is_refused_and_nothing_is_made_there() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let here = place(&server.stores()).await;
    let Some(empty) = RedisServer::start(&[]).await else {
        return;
    };
    assert_elsewhere(&open_at(&empty, here), here, "none").await;
    assert_eq!(keys(&empty).await, 0);

    let other = place(&empty.stores()).await;
    assert_ne!(here, other);
    let before = keys(&empty).await;
    assert_elsewhere(&open_at(&empty, here), here, &format!("place {other}")).await;
    assert_eq!(keys(&empty).await, before);
}

#[tokio::test]
async fn what_is_in_use_is_refused_from_when_the_data_is_known_to_be_elsewhere() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let (stores, store) = (server.stores(), StoreId::random());
    let here = place(&stores).await;
    set(&stores, store, "key", "value").await.unwrap();
    let first: PlaceId = "00000000000000aa".parse().unwrap();
    stores.keep_to(Some(first));
    assert_elsewhere(&stores, first, &format!("place {here}")).await;
    stores.keep_to(None);
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(stores.place(), Some(here), "and is told again");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_noticed_with_its_connections() {
    let (Some(server), Some(empty)) =
        (RedisServer::start(&[]).await, RedisServer::start(&[]).await)
    else {
        return;
    };
    let target = |server: &RedisServer| ([127, 0, 0, 1], server.port).into();
    let proxy = Proxy::to(target(&server)).await;
    let options = RedisOptions {
        url: format!("redis://{}", proxy.address),
        ..server.options()
    };
    let (stores, store) = (Redis::new(&options).unwrap(), StoreId::random());
    let here = place(&stores).await;
    stores.keep_to(Some(here));
    set(&stores, store, "key", "value").await.unwrap();
    proxy.lead_to(target(&empty));
    until("it is noticed", || async {
        let refused = set(&stores, store, "key", "lost").await.unwrap_err();
        refused.to_string().ends_with("this server holds none")
    })
    .await;
    assert_eq!(keys(&empty).await, 0);
    proxy.lead_new_to(target(&server));
    until("it leads back", || async {
        get(&stores, store, "key").await == Ok(Some("value".into()))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_lost_everything_is_refused_until_the_record_is_cleared() {
    let Some(mut server) = RedisServer::start(&[]).await else {
        return;
    };
    let (stores, store) = (server.stores(), StoreId::random());
    let gone = place(&stores).await;
    stores.keep_to(Some(gone));
    set(&stores, store, "key", "value").await.unwrap();
    // It keeps nothing on its disk.
    server.kill();
    server.start_again().await;
    until("it is reached", || async {
        reason(&stores).await != Some(Reason::Unreachable)
    })
    .await;
    assert_elsewhere(&stores, gone, "none").await;
    assert_eq!(keys(&server).await, 0);

    stores.keep_to(None);
    assert_eq!(get(&stores, store, "key").await, Ok(None));
    set(&stores, store, "key", "new").await.unwrap();
    let new = place(&stores).await;
    assert_ne!(new, gone);
    let later = open_at(&server, new);
    assert_eq!(get(&later, store, "key").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_server_that_is_emptied_under_its_connections_is_noticed() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let (stores, store) = (server.stores(), StoreId::random());
    let here = place(&stores).await;
    stores.keep_to(Some(here));
    set(&stores, store, "key", "value").await.unwrap();
    let dumped = server.dump().await;
    server.admin(&["FLUSHALL"]).await;
    until("it is noticed", || async {
        get(&stores, store, "key").await.is_err()
    })
    .await;
    assert_elsewhere(&stores, here, "none").await;
    // Brought back, it is what it was.
    server.restore(dumped).await;
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(reason(&stores).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_one_place_from_whichever_server_it_is_asked() {
    let Some(servers) = cluster().await else {
        return;
    };
    let places = join_all(
        servers
            .iter()
            .map(async |server| place(&server.stores()).await),
    )
    .await;
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    for server in &servers {
        let stores = Arc::new(open_at(server, places[0]));
        let calls = (0..40).map(|_| {
            let stores = stores.clone();
            tokio::spawn(async move { set(&stores, StoreId::random(), "key", "value").await })
        });
        for call in join_all(calls).await {
            assert_eq!(call.unwrap(), Ok(()));
        }
        assert_eq!(reason(&stores).await, None);
        let elsewhere: PlaceId = "00000000000000aa".parse().unwrap();
        let held = format!("place {}", places[0]);
        assert_elsewhere(&open_at(server, elsewhere), elsewhere, &held).await;
    }
}
