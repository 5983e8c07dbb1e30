//! Where nothing stands in between, a session remembers what it is asked.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::*;

/// What is asked for one value: by sessions of their own, and by others.
const OWN: &str = "query LIKE 'SELECT CASE%(SELECT value FROM shoal_kv WHERE%'";
const SHARED: &str = "query LIKE 'SELECT shoal_get_v%'";

#[tokio::test]
async fn a_session_of_its_own_remembers_and_forgets_what_changed() {
    let Some(server) = server("an own session", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    // More often than a server plans anew.
    for _ in 0..8 {
        assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    }
    assert_eq!(sessions(&server, OWN).await, 1);

    // Another table of the name, then the one that was there.
    let admin = server.admin().await;
    let exchange = "ALTER TABLE shoal_kv RENAME TO away;
                    CREATE TABLE shoal_kv (LIKE away INCLUDING ALL)";
    admin.batch_execute(exchange).await.unwrap();
    assert_eq!(get(&stores, store, "key").await, Ok(None));
    set(&stores, store, "key", "other").await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "other");
    let back = "DROP TABLE shoal_kv; ALTER TABLE away RENAME TO shoal_kv";
    admin.batch_execute(back).await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(sessions(&server, OWN).await, 1);
}

#[tokio::test]
async fn options_of_the_url_stay_what_they_are() {
    let Some(server) = server("options of the url", &["fsync=off"]).await else {
        return;
    };
    let admin = server.admin().await;
    admin.batch_execute("CREATE SCHEMA apart").await.unwrap();
    let url = format!("{}&options=-c%20search_path%3Dapart", server.url());
    let (stores, store) = (open(&url), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(sessions(&server, OWN).await, 1);
    let count = "SELECT count(*) FROM apart.shoal_kv";
    let count: i64 = admin.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
}

/// A server that a session was moved from under its connection: what it was told to remember is unknown
/// there. Nothing is done wrong or twice, and from then on nothing is left to memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_exchanged_is_noticed_and_trusted_no_more() {
    let Some(server) = server("an exchanged session", &["fsync=off"]).await else {
        return;
    };
    let exchanged = watch::Sender::new(false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(exchange(
        listener,
        server.port(),
        exchanged.subscribe(),
        String::new(),
    ));
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let (stores, store) = (open(&url), StoreId::random());
    assert_eq!(add(&stores, store, "sum").await, Ok(1));
    set(&stores, store, "key", "value").await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(sessions(&server, OWN).await, 1);

    exchanged.send_replace(true);
    assert_eq!(add(&stores, store, "sum").await, Ok(2));
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(sessions(&server, OWN).await, 0);
    assert_eq!(sessions(&server, SHARED).await, 1);
}

/// The same, where that session remembers something else of the same name: another one's statement, that does its
/// work in the other one's session only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_session_remembers_by_the_same_name_is_never_taken_for_an_answer() {
    let Some(server) = server("another one's statement", &["fsync=off"]).await else {
        return;
    };
    let (exchanged, is_own) = (
        watch::Sender::new(false),
        "current_setting('shoal.session', true) IS NOT DISTINCT FROM $3",
    );
    let theirs = (0..400).map(|number| {
        format!(
            "PREPARE s{number} (uuid, bytea, text) AS
             SELECT CASE WHEN {is_own} THEN 'theirs'::bytea END, {is_own};"
        )
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let subscribed = exchanged.subscribe();
    tokio::spawn(exchange(
        listener,
        server.port(),
        subscribed,
        theirs.collect(),
    ));
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let (stores, store) = (open(&url), StoreId::random());
    set(&stores, store, "key", "value").await.unwrap();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");

    exchanged.send_replace(true);
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(sessions(&server, SHARED).await, 1);
}

/// Passes connections on to the server at `port`; what clients say once they were `exchanged` is said in
/// another session, that was begun with `theirs`.
async fn exchange(
    listener: TcpListener,
    port: u16,
    exchanged: watch::Receiver<bool>,
    theirs: String,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(pass(client, port, exchanged.clone(), theirs.clone()));
    }
}

async fn pass(client: TcpStream, port: u16, mut exchanged: watch::Receiver<bool>, theirs: String) {
    let (mut from_client, mut to_client) = client.into_split();
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    if !*exchanged.borrow() {
        tokio::select! {
            _ = copy(&mut from_client, &mut to_server) => return,
            _ = copy(&mut from_server, &mut to_client) => return,
            _ = exchanged.wait_for(|exchanged| *exchanged) => {}
        }
        (from_server, to_server) = begun(port, &theirs).await;
    }
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_client) => {}
    }
}

/// A session that was begun by somebody else, who said `theirs`.
async fn begun(port: u16, theirs: &str) -> (OwnedReadHalf, OwnedWriteHalf) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    let names = b"user\0postgres\0database\0postgres\0application_name\0shoal\0\0";
    let length = u32::try_from(8 + names.len()).unwrap();
    let version = 3_u32 << 16;
    let start = [&length.to_be_bytes(), &version.to_be_bytes(), &names[..]].concat();
    to_server.write_all(&start).await.unwrap();
    until_ready(&mut from_server).await;
    let length = u32::try_from(4 + theirs.len() + 1).unwrap();
    let said = [b"Q", &length.to_be_bytes()[..], theirs.as_bytes(), b"\0"].concat();
    to_server.write_all(&said).await.unwrap();
    until_ready(&mut from_server).await;
    (from_server, to_server)
}

/// Reads up to the message that the server is ready. Each is its kind, its length and the rest.
async fn until_ready(from_server: &mut OwnedReadHalf) {
    loop {
        let kind = from_server.read_u8().await.unwrap();
        let rest = from_server.read_u32().await.unwrap() - 4;
        let mut skipped = vec![0; rest as usize];
        from_server.read_exact(&mut skipped).await.unwrap();
        if kind == b'Z' {
            return;
        }
    }
}
