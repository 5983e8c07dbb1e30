//! Servers that are away, slow, cut off or read-only: a plain reason, and all is well when they are.

use tokio_postgres::Client;

use super::*;

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE application_name = 'shoal'";

#[tokio::test]
async fn a_server_that_was_stopped_is_used_again_when_it_is_back() {
    let Some(mut server) = server("a stopped server", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();

    server.stop();
    let reason = unavailable(&server, get(&stores, store, "key").await);
    assert_eq!(reason, "it cannot be reached");
    assert_eq!(ill(&server, &stores).await, Some(Reason::Unreachable));
    // Calls that were never sent wait for it.
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let stores = stores.clone();
            tokio::spawn(async move { add(&stores, store, "sum").await })
        })
        .collect();
    server.start_again().await;
    until("it is found again", async || {
        get(&stores, store, "key").await.is_ok()
    })
    .await;
    let done = futures::future::join_all(calls).await;
    let done = done
        .into_iter()
        .filter(|call| matches!(call, Ok(Ok(_))))
        .count();
    let sum: usize = match get(&stores, store, "sum").await.unwrap() {
        Some(sum) => std::str::from_utf8(&sum).unwrap().parse().unwrap(),
        None => 0,
    };
    assert_eq!(
        sum, done,
        "a call that failed before it was sent was done, or done twice"
    );
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(ill(&server, &stores).await, None);
}

#[tokio::test]
async fn connections_that_died_while_idle_fail_no_call() {
    let Some(mut server) = server("dead connections", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    for round in 1..=3 {
        let calls = (0..10).map(|_| add(&stores, store, "sum"));
        let sums = futures::future::join_all(calls).await;
        assert!(sums.iter().all(Result::is_ok), "{sums:?}");
        if round == 1 {
            server.admin().await.batch_execute(TERMINATE).await.unwrap();
            until_sessions(&server, "true", 0).await;
        } else {
            server.stop();
            server.start_again().await;
        }
    }
    assert_eq!(get(&stores, store, "sum").await.unwrap().unwrap(), "30");
}

const CUT: &str = "its connection was lost, and the write may or may not have been done";
/// What calls are told that their time ran out on.
const LATE: [&str; 4] = [
    "it took too long",
    "it did not answer within 5 s",
    "it did not answer within 5 s, and the write may or may not have been done",
    "it cannot be reached",
];

/// Makes `call`, ends its session once it waits for a lock, and then does what is to follow. A call that has ended
/// is waited for no longer.
async fn cut<T>(
    server: &Server,
    call: impl Future<Output = T>,
    then: impl Future<Output = ()>,
) -> T {
    let meanwhile = async {
        until_sessions(server, LOCKED, 1).await;
        server.admin().await.batch_execute(TERMINATE).await.unwrap();
        then.await;
        std::future::pending().await
    };
    tokio::select! {
        ended = call => ended,
        never = meanwhile => never,
    }
}

/// Locks `statement`'s rows or tables until the session given back commits.
async fn lock(server: &Server, statement: &str) -> Client {
    let admin = server.admin().await;
    admin
        .batch_execute(&format!("BEGIN; {statement}"))
        .await
        .unwrap();
    admin
}

#[tokio::test]
async fn a_write_that_is_cut_in_its_transaction_is_not_made_again() {
    let Some(server) = server("a cut write", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    let holder = lock(&server, "SELECT 1 FROM shoal_kv FOR UPDATE").await;
    // A call that gave up before it was cut shows nothing.
    until("a write is cut", async || {
        let call = add(&stores, store, "sum");
        let reason = unavailable(&server, cut(&server, call, async {}).await);
        assert!(reason == CUT || LATE.contains(&&*reason), "{reason}");
        reason == CUT
    })
    .await;
    until_sessions(&server, LOCKED, 0).await;
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
}

#[tokio::test]
async fn a_read_that_is_cut_is_made_again() {
    let Some(server) = server("a cut read", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    // A call that gave up before all this had happened shows nothing.
    until("a read is made again", async || {
        let holder = lock(&server, "LOCK TABLE shoal_kv IN ACCESS EXCLUSIVE MODE").await;
        let unlock = async {
            until_sessions(&server, LOCKED, 1).await;
            holder.batch_execute("COMMIT").await.unwrap();
        };
        match cut(&server, get(&stores, store, "key"), unlock).await {
            Ok(value) => value.unwrap() == "value",
            late => {
                let reason = unavailable(&server, late);
                assert!(LATE.contains(&&*reason), "{reason}");
                false
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_here_and_on_the_server() {
    let Some(server) = server("slow calls", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    let holder = lock(&server, "LOCK TABLE shoal_kv IN ACCESS EXCLUSIVE MODE").await;
    let (read, written) = tokio::join!(get(&stores, store, "sum"), add(&stores, store, "sum"));
    // The server gives up before the caller does, and by a hair after it where the machine is busy.
    for late in [read.map(drop), written.map(drop)] {
        let reason = unavailable(&server, late);
        assert!(LATE[..3].contains(&&*reason), "{reason}");
    }
    until_sessions(&server, LOCKED, 0).await;
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
}

#[tokio::test]
async fn a_store_whose_calls_are_stuck_does_not_hold_up_another() {
    let Some(server) = server("stuck calls", &["fsync=off"]).await else {
        return;
    };
    let (stores, stuck, other) = (open(&server.url()), StoreId::random(), StoreId::random());
    add(&stores, stuck, "sum").await.unwrap();
    let holder = lock(&server, "SELECT 1 FROM shoal_kv FOR UPDATE").await;
    // However long this takes: who gave up calls again.
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let stores = stores.clone();
            tokio::spawn(async move {
                let mut given_up = 0;
                while add(&stores, stuck, "sum").await.is_err() {
                    given_up += 1;
                }
                given_up
            })
        })
        .collect();
    until_sessions(&server, LOCKED, 7).await;
    for n in 1..=100 {
        assert_eq!(add(&stores, other, "sum").await, Ok(n));
    }
    assert!(calls.iter().all(|call| !call.is_finished()));
    holder.batch_execute("COMMIT").await.unwrap();
    let mut given_up = 0;
    for call in calls {
        given_up += call.await.unwrap();
    }
    let sum = add(&stores, stuck, "sum").await.unwrap();
    assert!((42..=42 + given_up).contains(&sum), "{sum}: {given_up}");
}

#[tokio::test]
async fn a_server_that_hangs_fails_calls_by_their_deadline() {
    let Some(server) = server("a frozen server", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    server.freeze();
    let (read, written, more) = tokio::join!(
        get(&stores, store, "sum"),
        add(&stores, store, "sum"),
        futures::future::join_all((0..50).map(|_| get(&stores, store, "sum"))),
    );
    unavailable(&server, read);
    unavailable(&server, written);
    for read in more {
        unavailable(&server, read);
    }
    assert_eq!(ill(&server, &stores).await, Some(Reason::Unreachable));
    server.thaw();
    until("it answers again", async || {
        get(&stores, store, "sum").await.is_ok()
    })
    .await;
    set(&stores, store, "key", "value").await.unwrap();
    assert_eq!(ill(&server, &stores).await, None);
}

#[tokio::test]
async fn a_server_that_is_read_only_is_read() {
    let Some(server) = server("a read-only server", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    server.set("default_transaction_read_only", "on").await;
    until("writes are refused", async || {
        let result = set(&stores, store, "key", "other").await;
        result.is_err() && unavailable(&server, result) == "it is read-only"
    })
    .await;
    until_ill(&server, &stores, Some(Reason::ReadOnly)).await;
    let value = get(&stores, store, "key").await.unwrap();
    server.set("default_transaction_read_only", "off").await;
    until("writes are taken again", async || {
        set(&stores, store, "key", "third").await.is_ok()
    })
    .await;
    assert!(value.is_some());
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "third");
    assert_eq!(ill(&server, &stores).await, None);
}

#[tokio::test]
async fn a_role_that_may_only_read_is_noticed_without_any_call_of_an_app() {
    let Some(server) = server("a role that may read", &["fsync=off"]).await else {
        return;
    };
    let admin = server.admin().await;
    let role = "CREATE ROLE reader LOGIN; GRANT CREATE ON SCHEMA public TO reader";
    admin.batch_execute(role).await.unwrap();
    let (stores, store) = (open(&server.url_of("reader", "none")), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    assert_eq!(ill(&server, &stores).await, None);
    for (right, table) in [("INSERT", "shoal_kv"), ("DELETE", "shoal_kv")] {
        let revoke = format!("REVOKE {right} ON {table} FROM reader");
        admin.batch_execute(&revoke).await.unwrap();
        let found = ill(&server, &stores).await;
        assert_eq!(found, Some(Reason::CredentialsRefused), "without {right}");
        let value = get(&stores, store, "key").await.unwrap();
        assert_eq!(value.unwrap(), "value", "what may be read is read");
        let grant = format!("GRANT {right} ON {table} TO reader");
        admin.batch_execute(&grant).await.unwrap();
        assert_eq!(ill(&server, &stores).await, None);
    }
}

#[tokio::test]
async fn a_server_that_moved_is_found_where_it_is_said_to_be() {
    let Some(mut server) = server("a moved server", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    server.stop();
    assert_eq!(ill(&server, &stores).await, Some(Reason::Unreachable));
    let lost = add(&stores, store, "sum").await;
    assert_eq!(unavailable(&server, lost), "it cannot be reached");
    server.start_elsewhere().await;
    stores.reconfigure(&options(&server.url())).await.unwrap();
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
    until_ill(&server, &stores, None).await;
}
