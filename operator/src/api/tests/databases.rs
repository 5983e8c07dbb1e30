//! Databases whose Store is gone.

use axum::http::Method;
use serde_json::{Value, json};
use shoal_stores::sql::{Session, Statement};
use shoal_stores::{Sql as _, StoreId, StoreLimits};

use super::api_server::ADMIN;
use super::{ROOT, World};
use crate::housekeeping::tests::{store, until};

async fn write(world: &World, id: StoreId) {
    let mut session = Session::new(id);
    let statement = Statement {
        text: "CREATE TABLE t(a)".to_owned(),
        parameters: Vec::new(),
    };
    let done = world
        .parts
        .sql
        .execute(&mut session, statement, StoreLimits::default());
    done.await.unwrap();
    world.parts.sql.close(&session);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_database_is_adopted_as_one_and_purged() {
    let world = World::start().await;
    let (adopted, purged) = (StoreId::random(), StoreId::random());
    let object = |name: &str, id| {
        let spec = json!({"app": name, "interface": "Sql"});
        store(
            id,
            json!({"metadata": {"name": name, "uid": name}, "spec": spec}),
        )
    };
    let both = [("adopted", adopted), ("purged", purged)];
    for (name, id) in both {
        write(&world, id).await;
        let store = object(name, id);
        world.parts.world.change(|index| index.apply(store));
    }
    let seen = async |orphan| {
        world.parts.planned();
        for (_, id) in both {
            let since: Option<Option<i64>> = world.parts.orphan_since(id).await;
            if since.is_none_or(|since| since.is_some() != orphan) {
                return false;
            }
        }
        true
    };
    until("the Stores are known", async || seen(false).await).await;
    for (name, id) in both {
        let store = object(name, id);
        world.parts.world.change(|index| index.delete(&store));
    }
    until("their data is orphaned", async || seen(true).await).await;

    let ask = async |method, path: &str, body: &str| world.ask(ADMIN, method, path, body).await;
    let orphans = format!("{ROOT}/storeorphans");
    let list: Value = serde_json::from_str(&ask(Method::GET, &orphans, "").await.unwrap()).unwrap();
    for item in list["items"].as_array().unwrap() {
        assert_eq!(item["store"]["interface"], "Sql");
    }
    let body = json!({"namespace": "bank", "app": "hello"}).to_string();
    let made = ask(Method::POST, &format!("{orphans}/{adopted}/adopt"), &body).await;
    let made: Value = serde_json::from_str(&made.unwrap()).unwrap();
    assert_eq!(made["metadata"]["name"], "hello-default-sql");
    assert_eq!(made["spec"]["interface"], "Sql");
    assert_eq!(made["spec"]["id"], adopted.to_string());

    let path = format!("{orphans}/{purged}");
    assert!(ask(Method::DELETE, &path, "").await.is_ok());
    assert_eq!(world.parts.sql.bytes(purged).await.unwrap(), 0);
    assert_ne!(world.parts.sql.bytes(adopted).await.unwrap(), 0);
    assert_eq!(ask(Method::GET, &path, "").await.unwrap_err().0, 404);
}
