//! A `shoal-store` that is killed and started again at another address, in the middle of statements of SQL: what was
//! acknowledged is there, no transaction is half done, and callers that know its name go on by themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::future::join_all;
use shoal_mounts::Apart;
use shoal_stores::{
    RemoteSql, Sql, SqlError, StoreId, StoreLimits,
    sql::{Session, SessionState, Statement, Value},
};

use crate::{again, parts::until, place::Place, store_process::free_address};

/// Where the child finds a folder; `hosts` in it is what it has in the place of `/etc/hosts`.
const FOLDER: &str = "SHOAL_TEST_MOVED_STORE";
const NAME: &str = "store.moved.test";
const BEFORE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const AFTER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const WRITERS: usize = 6;
/// Rows of one transaction.
const ROWS: usize = 3;

fn hosts(folder: &Path, address: Ipv4Addr) {
    let table = format!("127.0.0.1 localhost\n{address} {NAME}\n");
    fs::write(folder.join("hosts"), table).unwrap();
}

async fn run(
    sql: &RemoteSql,
    session: &mut Session,
    text: &str,
) -> Result<Vec<Vec<Value>>, SqlError> {
    let statement = Statement {
        text: text.to_owned(),
        parameters: Vec::new(),
    };
    let answer = sql.execute(session, statement, StoreLimits::default());
    answer.await.map(|answer| answer.rows)
}

/// Inserts `number` of `writer`: by a statement of its own, or in a transaction of [`ROWS`].
async fn write(
    sql: &RemoteSql,
    session: &mut Session,
    writer: usize,
    number: usize,
) -> Result<(), SqlError> {
    let insert = format!("INSERT INTO t VALUES ({writer}, {number})");
    if !is_in_transactions(writer) {
        return run(sql, session, &insert).await.map(drop);
    }
    run(sql, session, "BEGIN").await?;
    for _ in 0..ROWS {
        run(sql, session, &insert).await?;
    }
    run(sql, session, "COMMIT").await.map(drop)
}

fn is_in_transactions(writer: usize) -> bool {
    writer % 2 == 1
}

/// Writes until it is to stop, and says what was acknowledged; a session in which something failed goes on.
async fn write_on(
    sql: &RemoteSql,
    store: StoreId,
    writer: usize,
    stop: &AtomicBool,
    acknowledged: impl Fn(usize),
) {
    let mut session = Session::new(store);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match write(sql, &mut session, writer, number).await {
            Ok(()) => acknowledged(number),
            Err(error) => {
                let told = error.to_string();
                assert!(!told.contains("127.0.0") && !told.contains(NAME), "{told}");
                // As a guest does whose transaction failed; where it is over already, that is what it hears.
                if session.state == SessionState::InTransaction {
                    let _ = run(sql, &mut session, "ROLLBACK").await;
                }
            }
        }
    }
}

/// The child: has a table of hosts of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_whose_store_moves() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let place = Place::new(folder);
    let store = StoreId::random();
    place.grant(&[store]);
    let port = free_address().port();
    hosts(folder, BEFORE);
    let mut process = place.start(SocketAddr::from((BEFORE, port))).await;
    let sql = RemoteSql::new(&format!("{NAME}:{port}"), &place.runtime()).unwrap();
    let session = &mut Session::new(store);
    let create = "CREATE TABLE IF NOT EXISTS t(writer, number)";
    again(async || run(&sql, session, create).await).await;
    let open = &mut Session::new(store);
    let stop = AtomicBool::new(false);
    let acknowledged = parking_lot::Mutex::new(BTreeMap::<usize, BTreeSet<usize>>::new());
    let counts = || -> Vec<usize> {
        let acknowledged = acknowledged.lock();
        let of = |writer| acknowledged.get(&writer).map_or(0, BTreeSet::len);
        (0..WRITERS).map(of).collect()
    };
    let note = |writer| {
        let acknowledged = &acknowledged;
        move |number| {
            acknowledged
                .lock()
                .entry(writer)
                .or_default()
                .insert(number);
        }
    };
    let writing =
        join_all((0..WRITERS).map(|writer| write_on(&sql, store, writer, &stop, note(writer))));
    let moving = async {
        until("much is written", || {
            counts().iter().all(|count| *count >= 30)
        })
        .await;
        again(async || run(&sql, open, "BEGIN IMMEDIATE").await).await;
        assert!(!process.end("-KILL").success());
        process = place.start(SocketAddr::from((AFTER, port))).await;
        hosts(folder, AFTER);
        let before = counts();
        let go_on = || (counts().iter().zip(&before)).all(|(now, before)| *now >= before + 30);
        until("every writer goes on", go_on).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, moving);

    let late = run(&sql, open, "INSERT INTO t VALUES (-1, -1)").await;
    assert!(matches!(late, Err(SqlError::RolledBack(_))), "{late:?}");
    let query = "SELECT writer, number, count(*) FROM t GROUP BY writer, number";
    let rows = run(&sql, session, query).await.unwrap();
    let mut there = BTreeMap::new();
    for row in rows {
        let number = |value: &Value| match value {
            Value::Integer(number) => usize::try_from(*number).unwrap(),
            other => panic!("{other:?} is no number"),
        };
        there.insert((number(&row[0]), number(&row[1])), number(&row[2]));
    }
    for ((writer, number), count) in &there {
        let whole = if is_in_transactions(*writer) { ROWS } else { 1 };
        assert_eq!(*count, whole, "number {number} of writer {writer}");
    }
    let acknowledged = acknowledged.into_inner();
    for (writer, numbers) in &acknowledged {
        let lost = numbers
            .iter()
            .find(|number| !there.contains_key(&(*writer, **number)));
        assert_eq!(lost, None, "writer {writer} lost what was acknowledged");
    }
    let all: usize = acknowledged.values().map(BTreeSet::len).sum();
    println!(
        "kept {all} of {all} writes, and {} that nobody knew of",
        there.len() - all
    );
}

#[test]
fn a_store_that_is_killed_and_moves_loses_no_statement_and_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    hosts(folder.path(), BEFORE);
    let apart = Apart {
        test: "moved::child_whose_store_moves",
        mount: "mount --bind \"$1/hosts\" /etc/hosts",
        place: folder.path(),
        environment: &[(FOLDER, folder.path())],
        as_root: false,
        word: "kept",
    };
    apart.run("a `shoal-store` that moves");
}
