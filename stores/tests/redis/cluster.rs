//! A cluster of servers: Stores are found wherever they are, also while they move.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use shoal_stores::{KeyValue, KeyValueError, StoreId};

use crate::{
    get, limits,
    redis_server::{RedisServer, free_port, until},
    set,
};

/// The slots of three servers.
const RANGES: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

pub async fn cluster() -> Option<Vec<RedisServer>> {
    let mut servers = Vec::new();
    let mut buses = Vec::new();
    for (first, last) in RANGES {
        let bus = free_port().to_string();
        let server = RedisServer::start(&[
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus,
            // None is given up for lost on a busy machine.
            "--cluster-node-timeout",
            "60000",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .await?;
        server
            .admin(&["CLUSTER", "ADDSLOTSRANGE", first, last])
            .await;
        servers.push(server);
        buses.push(bus);
    }
    for (server, bus) in servers.iter().zip(&buses).skip(1) {
        let port = server.port.to_string();
        servers[0]
            .admin(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])
            .await;
    }
    for server in &servers {
        until("the cluster is up", || is_up(server)).await;
    }
    Some(servers)
}

async fn is_up(server: &RedisServer) -> bool {
    let info = server.text(&["CLUSTER", "INFO"]).await;
    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
}

async fn keys_on(server: &RedisServer) -> i64 {
    redis::from_redis_value(server.admin(&["DBSIZE"]).await).unwrap()
}

#[tokio::test]
async fn stores_are_spread_and_found_from_any_server() {
    let Some(mut servers) = cluster().await else {
        return;
    };
    let ids: Vec<_> = (0..60).map(|_| StoreId::random()).collect();
    let through = [servers[0].stores(), servers[1].stores()];
    for id in &ids {
        set(&through[0], *id, "key", &id.to_string()).await.unwrap();
        through[0]
            .increment(*id, "sum".into(), 1, limits())
            .await
            .unwrap();
    }
    for id in &ids {
        let value = get(&through[1], *id, "key").await.unwrap().unwrap();
        assert_eq!(value, id.to_string());
        let page = through[1].list_keys(*id, None, 10).await.unwrap();
        assert_eq!(page.keys, ["key", "sum"]);
        assert_eq!(through[1].usage(*id).await.unwrap().keys, 2);
    }
    for server in &servers {
        assert!(keys_on(server).await > 0);
    }

    // A server is lost, and with it its Stores, until it is back.
    servers[2].kill();
    let mut lost = 0;
    for id in &ids {
        match get(&through[0], *id, "key").await {
            Ok(value) => assert!(value.is_some()),
            Err(KeyValueError::Unavailable(_)) => {
                lost += 1;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(lost, 1);
    servers[2].start_again().await;
    until("all are served again", || async {
        for id in &ids {
            match get(&through[0], *id, "key").await {
                Ok(value) => assert_eq!(value.unwrap(), id.to_string()),
                Err(_) => return false,
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_moves_is_served_all_the_time() {
    let Some(servers) = cluster().await else {
        return;
    };
    let stores = Arc::new(servers[0].stores());
    let store = StoreId::random();
    let names = ["values", "index", "size"].map(|part| format!("shoal:{{{store}}}:{part}"));
    let slot: u16 =
        redis::from_redis_value(servers[0].admin(&["CLUSTER", "KEYSLOT", &names[0]]).await)
            .unwrap();
    let from = usize::from(slot) * 3 / 16384;
    let to = (from + 1) % 3;
    let slot = slot.to_string();
    let (source, target) = (&servers[from], &servers[to]);
    let source_id = source.text(&["CLUSTER", "MYID"]).await;
    let target_id = target.text(&["CLUSTER", "MYID"]).await;

    let (go_on, sum) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicI64::new(0)));
    let caller = {
        let (stores, go_on, sum) = (stores.clone(), go_on.clone(), sum.clone());
        tokio::spawn(async move {
            while go_on.load(Ordering::Relaxed) {
                let new = stores.increment(store, "sum".into(), 1, limits()).await;
                assert_eq!(new, Ok(sum.fetch_add(1, Ordering::Relaxed) + 1));
                assert!(get(&stores, store, "sum").await.unwrap().is_some());
            }
        })
    };
    let some_calls = async || {
        let before = sum.load(Ordering::Relaxed);
        until("calls go on", || async {
            sum.load(Ordering::Relaxed) > before + 20
        })
        .await;
    };
    some_calls().await;
    let set_slot = async |server: &RedisServer, rest: [&str; 2]| {
        server
            .admin(&["CLUSTER", "SETSLOT", &slot, rest[0], rest[1]])
            .await
    };
    set_slot(target, ["IMPORTING", &source_id]).await;
    set_slot(source, ["MIGRATING", &target_id]).await;
    some_calls().await;
    let port = target.port.to_string();
    let [values, index, size] = &names;
    source
        .admin(&[
            "MIGRATE",
            "127.0.0.1",
            &port,
            "",
            "0",
            "60000",
            "KEYS",
            values,
            index,
            size,
        ])
        .await;
    // It is on its way: the source sends each call on, and the target takes it for that.
    some_calls().await;
    set_slot(target, ["NODE", &target_id]).await;
    set_slot(source, ["NODE", &target_id]).await;
    some_calls().await;
    go_on.store(false, Ordering::Relaxed);
    caller.await.unwrap();
    assert_eq!(keys_on(source).await, 0);
    assert_eq!(keys_on(target).await, 3);
}
