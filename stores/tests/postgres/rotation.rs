//! Credentials change while calls go on.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use shoal_stores::postgres::ReconfigureError;

use super::{proxy::Proxy, *};

const BY_PASSWORD: &str = "host all all 127.0.0.1/32 scram-sha-256";

async fn server_with_role(test: &str) -> Option<Server> {
    let server = server(test, &["fsync=off"]).await?;
    server.set_access(BY_PASSWORD).await;
    let role =
        "CREATE ROLE tenant LOGIN PASSWORD 'word-0'; GRANT CREATE ON SCHEMA public TO tenant";
    server.admin().await.batch_execute(role).await.unwrap();
    Some(server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_changes_under_load_and_no_call_fails() {
    let Some(server) = server_with_role("a password under load").await else {
        return;
    };
    let (stores, store) = (open(&server.url_of("tenant", "word-0")), StoreId::random());
    let done = AtomicBool::new(false);
    let load = join_all((0..8).map(async |_| {
        let mut calls = 0;
        while !done.load(Ordering::Relaxed) {
            add(&stores, store, "sum").await.unwrap();
            assert!(get(&stores, store, "sum").await.unwrap().is_some());
            calls += 1;
        }
        calls
    }));
    let rotate = async {
        let admin = server.admin().await;
        for round in 1..=5 {
            let word = format!("word-{round}");
            let next = options(&server.url_of("tenant", &word));
            // The new word is known here before the database knows it: the old one stays in use.
            let early = stores.reconfigure(&next).await.unwrap_err();
            assert!(matches!(&early, ReconfigureError::Refused(_)), "{early}");
            assert!(
                early.to_string().ends_with("its credentials are refused"),
                "{early}"
            );
            let alter = format!("ALTER ROLE tenant PASSWORD '{word}'");
            admin.batch_execute(&alter).await.unwrap();
            stores.reconfigure(&next).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(load, rotate);
    let sum = get(&stores, store, "sum").await.unwrap().unwrap();
    assert_eq!(sum, calls.iter().sum::<i64>().to_string());
    until(
        "sessions of old credentials end by themselves",
        async || sessions(&server, "true").await <= 10,
    )
    .await;
}

#[tokio::test]
async fn credentials_that_are_revoked_say_so_and_nothing_more() {
    let Some(server) = server_with_role("revoked credentials").await else {
        return;
    };
    let (stores, store) = (open(&server.url_of("tenant", "word-0")), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    let admin = server.admin().await;
    let revoke = "ALTER ROLE tenant NOLOGIN;
                  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenant'";
    admin.batch_execute(revoke).await.unwrap();
    until_sessions(&server, "true", 0).await;
    let reason = unavailable(&server, add(&stores, store, "sum").await);
    assert_eq!(reason, "its credentials are refused");
    until_ill(&server, &stores, Some(Reason::CredentialsRefused)).await;
    assert!(!format!("{stores:?}").contains("tenant"));
    admin
        .batch_execute("ALTER ROLE tenant LOGIN")
        .await
        .unwrap();
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
}

#[tokio::test]
async fn a_server_that_refused_and_then_is_slow_has_refused() {
    let Some(server) = server_with_role("a slow refusal").await else {
        return;
    };
    let target = ([127, 0, 0, 1], server.port()).into();
    let proxy = Proxy::to(target).await;
    let (port, mine) = (server.port().to_string(), proxy.address.port().to_string());
    let url = server.url_of("tenant", "wrong").replace(&port, &mine);
    let (stores, store) = (open(&url), StoreId::random());
    let slow = async {
        let refused = "password authentication failed";
        // What is logged first is on its way still: the second attempt was made because it had arrived.
        until("it is refused", async || {
            server.log().matches(refused).count() > 1
        })
        .await;
        proxy.hold();
    };
    let (refused, ()) = tokio::join!(add(&stores, store, "sum"), slow);
    assert_eq!(unavailable(&server, refused), "its credentials are refused");
}

#[tokio::test]
async fn options_that_cannot_be_used_change_nothing() {
    let Some(server) = server("bad options", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    let bad = stores
        .reconfigure(&options("postgres://"))
        .await
        .unwrap_err();
    assert!(matches!(bad, ReconfigureError::Options(_)), "{bad}");
    let nowhere = format!(
        "postgres://x:secret@127.0.0.1:{}/x",
        backend::server::free_port()
    );
    let bad = stores.reconfigure(&options(&nowhere)).await.unwrap_err();
    assert!(!format!("{bad} {bad:?}").contains("secret"));
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
}
