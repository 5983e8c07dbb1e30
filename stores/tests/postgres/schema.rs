//! Tables are made once, whoever comes first.

use futures::future::join_all;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_users_race_and_all_are_served() {
    let Some(server) = server("first users", &["fsync=off"]).await else {
        return;
    };
    let store = StoreId::random();
    let nodes: Vec<_> = (0..12).map(|_| open(&server.url())).collect();
    let calls = nodes.iter().enumerate().flat_map(|(node, stores)| {
        (0..3).map(move |call| {
            let stores = stores.clone();
            tokio::spawn(async move { set(&stores, store, &format!("{node}-{call}"), "x").await })
        })
    });
    for call in join_all(calls).await {
        assert_eq!(call.unwrap(), Ok(()));
    }
    assert_eq!(nodes[0].usage(store).await.unwrap().keys, 36);
    let admin = server.admin().await;
    let meta = admin
        .query("SELECT name, value FROM shoal_meta ORDER BY name", &[])
        .await
        .unwrap();
    let names: Vec<&str> = meta.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, ["place", "version"]);
    assert_eq!(meta[1].get::<_, i64>(1), 1);
    let place = nodes[0].place();
    assert!(place.is_some() && nodes.iter().all(|node| node.place() == place));
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(
        admin.query_one(locks, &[]).await.unwrap().get::<_, i64>(0),
        0
    );
}

#[tokio::test]
async fn tables_of_a_later_version_are_left_alone() {
    let Some(server) = server("a later version", &["fsync=off"]).await else {
        return;
    };
    let store = StoreId::random();
    set(&open(&server.url()), store, "key", "value")
        .await
        .unwrap();
    let admin = server.admin().await;
    admin
        .batch_execute("UPDATE shoal_meta SET value = 99 WHERE name = 'version'")
        .await
        .unwrap();
    let stores = open(&server.url());
    let reason = unavailable(&server, get(&stores, store, "key").await);
    assert!(reason.contains("later version"), "{reason}");
    let configuration = Some(Reason::InvalidConfiguration);
    assert_eq!(ill(&server, &stores).await, configuration);
    // Rolled back, it serves again, with nothing restarted.
    admin
        .batch_execute("UPDATE shoal_meta SET value = 1 WHERE name = 'version'")
        .await
        .unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
}

#[tokio::test]
async fn a_role_without_the_right_to_make_tables_serves_where_they_are() {
    let Some(server) = server("a role with few rights", &["fsync=off"]).await else {
        return;
    };
    let admin = server.admin().await;
    admin
        .batch_execute("CREATE ROLE plain LOGIN")
        .await
        .unwrap();
    let (stores, store) = (open(&server.url_of("plain", "none")), StoreId::random());
    let reason = unavailable(&server, add(&stores, store, "sum").await);
    assert_eq!(reason, "its credentials do not suffice");
    let refused = Some(Reason::CredentialsRefused);
    assert_eq!(ill(&server, &stores).await, refused);
    add(&open(&server.url()), store, "sum").await.unwrap();
    let grant = "GRANT SELECT ON shoal_meta TO plain;
                 GRANT SELECT, INSERT, UPDATE, DELETE ON shoal_kv, shoal_usage TO plain";
    admin.batch_execute(grant).await.unwrap();
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
    assert_eq!(ill(&server, &stores).await, None);
}

#[tokio::test]
async fn a_role_that_may_delete_and_not_set_is_told_of_before_a_guest_finds_out() {
    let Some(server) = server("a role that may not set", &["fsync=off"]).await else {
        return;
    };
    add(&open(&server.url()), StoreId::random(), "sum")
        .await
        .unwrap();
    let admin = server.admin().await;
    let grant = "CREATE ROLE plain LOGIN;
                 GRANT SELECT ON shoal_meta TO plain;
                 GRANT SELECT, INSERT, UPDATE, DELETE ON shoal_usage TO plain;
                 GRANT SELECT, DELETE ON shoal_kv TO plain";
    admin.batch_execute(grant).await.unwrap();
    let stores = open(&server.url_of("plain", "none"));
    let refused = Some(Reason::CredentialsRefused);
    assert_eq!(ill(&server, &stores).await, refused);
    admin
        .batch_execute("GRANT INSERT, UPDATE ON shoal_kv TO plain")
        .await
        .unwrap();
    assert_eq!(ill(&server, &stores).await, None);
    let none: StoreId = "00000000-0000-0000-0000-000000000000".parse().unwrap();
    assert_eq!(stores.usage(none).await, Ok(Default::default()));
}

#[tokio::test]
async fn tables_that_vanish_are_not_made_again_in_silence() {
    let Some(server) = server("missing tables", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    let admin = server.admin().await;
    admin
        .batch_execute("ALTER TABLE shoal_kv RENAME TO away")
        .await
        .unwrap();
    let reason = unavailable(&server, set(&stores, store, "key", "other").await);
    assert!(reason.starts_with("its tables are missing"), "{reason}");
    admin
        .batch_execute("ALTER TABLE away RENAME TO shoal_kv")
        .await
        .unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
}

/// As an earlier Shoal left it: what is beside its tables comes without touching them, so that it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_without_functions_get_them_and_stay_what_they_are() {
    let Some(server) = server("tables alone", &["fsync=off"]).await else {
        return;
    };
    let store = StoreId::random();
    add(&open(&server.url()), store, "sum").await.unwrap();
    let admin = server.admin().await;
    admin.batch_execute(DROP_FUNCTIONS).await.unwrap();
    let nodes: Vec<_> = (0..6).map(|_| open(&server.url())).collect();
    let sums = join_all(nodes.iter().map(|node| add(node, store, "sum"))).await;
    assert!(sums.iter().all(Result::is_ok), "{sums:?}");
    assert_eq!(get(&nodes[0], store, "sum").await.unwrap().unwrap(), "7");
    let version = "SELECT value FROM shoal_meta WHERE name = 'version'";
    let version = admin.query_one(version, &[]).await.unwrap();
    assert_eq!(version.get::<_, i64>(0), 1, "the version of the tables");
}

#[tokio::test]
async fn functions_that_vanish_are_told_of() {
    let Some(server) = server("missing functions", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    let admin = server.admin().await;
    admin.batch_execute(DROP_FUNCTIONS).await.unwrap();
    let reason = unavailable(&server, set(&stores, store, "key", "other").await);
    assert!(reason.starts_with("its functions are missing"), "{reason}");
    let configuration = Some(Reason::InvalidConfiguration);
    assert_eq!(ill(&server, &stores).await, configuration);
    let anew = open(&server.url());
    assert_eq!(get(&anew, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(ill(&server, &stores).await, None);
}

/// A database whose own default is a stricter level: writers of one key get in each other's way, and all
/// are done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stricter_level_of_isolation_loses_no_write() {
    let settings = ["fsync=off", "default_transaction_isolation=repeatable read"];
    let Some(server) = server("a stricter level", &settings).await else {
        return;
    };
    let store = StoreId::random();
    let nodes = [(); 3].map(|()| open(&server.url()));
    let writers = join_all(nodes.iter().map(async |node| {
        for n in 0..10 {
            add(node, store, "sum").await.unwrap();
            set(node, store, "same", &"v".repeat(n)).await.unwrap();
        }
    }));
    writers.await;
    assert_eq!(get(&nodes[0], store, "sum").await.unwrap().unwrap(), "30");
    let usage = nodes[0].usage(store).await.unwrap();
    assert_eq!((usage.keys, usage.bytes), (2, 3 + 2 + 4 + 9));
}

const DROP_FUNCTIONS: &str = "DO $$ DECLARE one regprocedure; BEGIN
    FOR one IN SELECT oid FROM pg_proc WHERE proname LIKE 'shoal!_%' ESCAPE '!' LOOP
        EXECUTE format('DROP FUNCTION %s', one);
    END LOOP;
END $$";

#[tokio::test]
async fn the_socket_of_a_server_serves_too() {
    let Some(server) = server("a socket", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.socket_url()), StoreId::random());
    assert_eq!(add(&stores, store, "sum").await, Ok(1));
}
