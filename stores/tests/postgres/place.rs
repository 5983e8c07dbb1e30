//! The data of a class is in one place, wherever its URL leads.

use shoal_stores::PlaceId;

use super::{proxy::Proxy, *};

/// The place that nobody recorded yet, of a class that does well.
async fn place(server: &Server, stores: &Postgres) -> PlaceId {
    assert_eq!(ill(server, stores).await, None);
    stores.place().unwrap()
}

/// A class whose data is in `place`.
fn open_at(url: &str, place: PlaceId) -> Arc<Postgres> {
    let mut options = options(url);
    options.place = Some(place);
    Arc::new(Postgres::new(&options).unwrap())
}

/// That every call on `stores` is refused, and its health says that the data is in `place` and `held` is here.
async fn assert_elsewhere(server: &Server, stores: &Postgres, place: PlaceId, held: &str) {
    let store = StoreId::random();
    let says = format!("its data is in place {place}, and this server holds {held}");
    assert_eq!(unavailable(server, get(stores, store, "key").await), says);
    let written = set(stores, store, "key", "lost").await;
    assert_eq!(unavailable(server, written), says);
    let counted = stores.usage(store).await;
    assert_eq!(unavailable(server, counted), says);
    assert_eq!(unavailable(server, stores.purge(store).await), says);
    let Health::Failing { reason, message } = stores.health().await else {
        panic!("it does well");
    };
    assert_eq!(reason, Reason::InvalidConfiguration);
    assert_plain(server, &message);
    assert!(message.starts_with(&says), "{message}");
    assert!(message.contains("kubectl patch storeclass"), "{message}");
    assert_eq!(stores.place(), None, "it is not told as that of the data");
}

/// What there is of Shoal in a database, in tables and functions.
async fn things(server: &Server) -> i64 {
    let count = "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'shoal!_%' ESCAPE '!')
                      + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'shoal!_%' ESCAPE '!')";
    let row = server.admin().await.query_one(count, &[]).await;
    row.unwrap().get(0)
}

async fn rows(server: &Server) -> i64 {
    let count = "SELECT (SELECT count(*) FROM shoal_kv) + (SELECT count(*) FROM shoal_usage)";
    let row = server.admin().await.query_one(count, &[]).await;
    row.unwrap().get(0)
}

#[tokio::test]
async fn other_credentials_lead_to_the_same_place() {
    let Some(server) = server("the same place", &["fsync=off"]).await else {
        return;
    };
    let role = "CREATE ROLE one LOGIN SUPERUSER; CREATE ROLE two LOGIN SUPERUSER";
    server.admin().await.batch_execute(role).await.unwrap();
    let (first, store) = (open(&server.url_of("one", "none")), StoreId::random());
    let here = place(&server, &first).await;
    set(&first, store, "key", "value").await.unwrap();
    first.keep_to(Some(here));
    assert_eq!(first.place(), None, "it was told");
    let mut next = options(&server.url_of("two", "none"));
    next.place = Some(here);
    first.reconfigure(&next).await.unwrap();
    assert_eq!(get(&first, store, "key").await.unwrap().unwrap(), "value");
    let later = open_at(&server.url(), here);
    assert_eq!(get(&later, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(ill(&server, &later).await, None);
}

#[tokio::test]
async fn another_database_is_refused_and_nothing_is_made_there() {
    let Some(server) = server("another database", &["fsync=off"]).await else {
        return;
    };
    let here = place(&server, &open(&server.url())).await;
    let Some(empty) = super::server("an empty database", &["fsync=off"]).await else {
        return;
    };
    let stores = open_at(&empty.url(), here);
    assert_elsewhere(&empty, &stores, here, "none").await;
    assert_eq!(things(&empty).await, 0);

    let other = place(&empty, &open(&empty.url())).await;
    assert_ne!(here, other);
    let before = rows(&empty).await;
    let stores = open_at(&empty.url(), here);
    assert_elsewhere(&empty, &stores, here, &format!("place {other}")).await;
    assert_eq!(rows(&empty).await, before);
}

#[tokio::test]
async fn other_options_that_lead_elsewhere_leave_those_in_use() {
    let Some(server) = server("options that lead elsewhere", &["fsync=off"]).await else {
        return;
    };
    let Some(empty) = super::server("elsewhere", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    let here = place(&server, &stores).await;
    stores.keep_to(Some(here));
    set(&stores, store, "key", "value").await.unwrap();
    stores
        .reconfigure(&options(&empty.url()))
        .await
        .unwrap_err();
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(ill(&server, &stores).await, None);
    assert_eq!(things(&empty).await, 0);
}

#[tokio::test]
async fn what_is_in_use_is_refused_from_when_the_data_is_known_to_be_elsewhere() {
    let Some(server) = server("known too late", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    let here = place(&server, &stores).await;
    set(&stores, store, "key", "value").await.unwrap();
    let first: PlaceId = "00000000000000aa".parse().unwrap();
    stores.keep_to(Some(first));
    assert_elsewhere(&server, &stores, first, &format!("place {here}")).await;
    stores.keep_to(None);
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(stores.place(), Some(here), "and is told again");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_noticed_with_its_connections() {
    let Some(server) = server("a name", &["fsync=off"]).await else {
        return;
    };
    let Some(empty) = super::server("another one of that name", &["fsync=off"]).await else {
        return;
    };
    let target = |server: &Server| ([127, 0, 0, 1], server.port()).into();
    let proxy = Proxy::to(target(&server)).await;
    let (port, mine) = (server.port().to_string(), proxy.address.port().to_string());
    let (stores, store) = (open(&server.url().replace(&port, &mine)), StoreId::random());
    let here = place(&server, &stores).await;
    stores.keep_to(Some(here));
    set(&stores, store, "key", "value").await.unwrap();
    proxy.lead_to(target(&empty));
    let elsewhere = async || {
        let refused = set(&stores, store, "key", "lost").await.unwrap_err();
        refused.to_string().ends_with("this server holds none")
    };
    until("it is noticed", elsewhere).await;
    assert_eq!(things(&empty).await, 0);
    proxy.lead_new_to(target(&server));
    until("it leads back", async || {
        get(&stores, store, "key").await == Ok(Some("value".into()))
    })
    .await;
}

/// Sessions of before are cut, as by an administrator who drops a database.
async fn make_anew(server: &Server) {
    let anew = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shoal'";
    server.admin().await.batch_execute(anew).await.unwrap();
    until_sessions(server, "true", 0).await;
}

#[tokio::test]
async fn a_database_that_was_made_anew_is_refused_until_the_record_is_cleared() {
    let Some(server) = server("made anew", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    let gone = place(&server, &stores).await;
    stores.keep_to(Some(gone));
    set(&stores, store, "key", "value").await.unwrap();
    make_anew(&server).await;
    assert_elsewhere(&server, &stores, gone, "none").await;
    assert_elsewhere(&server, &open_at(&server.url(), gone), gone, "none").await;
    assert_eq!(things(&server).await, 0);

    stores.keep_to(None);
    stores.reconfigure(&options(&server.url())).await.unwrap();
    assert_eq!(get(&stores, store, "key").await, Ok(None));
    set(&stores, store, "key", "new").await.unwrap();
    let new = stores.place().unwrap();
    assert_ne!(new, gone);
    let later = open_at(&server.url(), new);
    assert_eq!(get(&later, store, "key").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_copy_of_the_database_is_the_same_place() {
    let Some(server) = server("a copy", &["fsync=off"]).await else {
        return;
    };
    let store = StoreId::random();
    let here = {
        let stores = open(&server.url());
        set(&stores, store, "key", "value").await.unwrap();
        place(&server, &stores).await
    };
    until_sessions(&server, "true", 0).await;
    let copy = server.folder().join("copy.sql");
    let socket = server.folder().display().to_string();
    let port = server.port().to_string();
    let tool = |name: &str, rest: &[&str]| {
        let mut tool = backend::server::command(name, server.folder());
        tool.args(["-h", &socket, "-p", &port, "-U", "postgres"]);
        let output = tool.args(rest).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    };
    let file = copy.to_str().unwrap();
    tool("pg_dump", &["-f", file, "postgres"]);
    tool("createdb", &["copy"]);
    tool("psql", &["-q", "-f", file, "copy"]);
    let url = server.url().replace("/postgres?", "/copy?");
    let stores = open_at(&url, here);
    assert_eq!(get(&stores, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!(ill(&server, &stores).await, None);
}

/// As a Shoal left it that knew of no places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_without_an_id_get_one_from_who_may_and_serve_who_may_not() {
    let Some(server) = server("tables without an id", &["fsync=off"]).await else {
        return;
    };
    let store = StoreId::random();
    set(&open(&server.url()), store, "key", "value")
        .await
        .unwrap();
    let admin = server.admin().await;
    let earlier = "DELETE FROM shoal_meta WHERE name = 'place'; CREATE ROLE plain LOGIN;
                   GRANT SELECT ON shoal_meta TO plain;
                   GRANT SELECT, INSERT, UPDATE, DELETE ON shoal_kv, shoal_usage TO plain";
    admin.batch_execute(earlier).await.unwrap();
    let plain = open(&server.url_of("plain", "none"));
    assert_eq!(get(&plain, store, "key").await.unwrap().unwrap(), "value");
    assert_eq!((ill(&server, &plain).await, plain.place()), (None, None));

    // Of those who find none at the same time, one is the first.
    let first = "BEGIN; INSERT INTO shoal_meta (name, value) VALUES ('place', 42)";
    admin.batch_execute(first).await.unwrap();
    let nodes = [(); 6].map(|()| open(&server.url()));
    let places = nodes.iter().map(|node| place(&server, node));
    let committed = async {
        until_sessions(&server, LOCKED, 6).await;
        admin.batch_execute("COMMIT").await.unwrap();
    };
    let (places, ()) = tokio::join!(futures::future::join_all(places), committed);
    let here: PlaceId = "000000000000002a".parse().unwrap();
    assert_eq!(places, [here; 6]);
    let later = open(&server.url_of("plain", "none"));
    assert_eq!(place(&server, &later).await, here);
    // It was recorded: what has no id any more is not what it was.
    admin
        .batch_execute("DELETE FROM shoal_meta WHERE name = 'place'")
        .await
        .unwrap();
    let stores = open_at(&server.url(), here);
    assert_elsewhere(&server, &stores, here, "none").await;
}
