//! The aggregated API over real connections, with a store pod's own code behind it.

mod api_server;
mod connections;
mod databases;
mod orphans;
mod world;

use axum::http::Method;
use serde_json::{Value, json};
use shoal_crds::Line;
use shoal_protocol::{Role, v1};
use shoal_stores::{KeyValue as _, StoreId, StoreLimits};

use super::StorePod;
use crate::classes::Seen;
use crate::housekeeping::tests::{identity, store, until};
use api_server::ADMIN;
use world::{FRONT, FrontAuthority, World};

const ROOT: &str = "/apis/runtime.shoal.dev/v1alpha1";

fn export(name: &str) -> String {
    format!("{ROOT}/namespaces/shop/stores/{name}/export")
}

fn import(name: &str, query: &str) -> String {
    format!("{ROOT}/namespaces/shop/stores/{name}/import{query}")
}

fn lines(entries: &[(&str, &[u8])], says: u64) -> String {
    let mut text = Vec::new();
    for (key, value) in entries {
        let line = Line::Entry((*key).to_owned(), value.to_vec());
        line.write(&mut text).unwrap();
    }
    let end = Line::End {
        keys: says,
        next: None,
    };
    end.write(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_from_one_store_is_imported_into_another() {
    let world = World::start().await;
    let (from, to) = (StoreId::random(), StoreId::random());
    world.store("from", from);
    world.store("to", to);
    world.fill(from, 2345).await;
    let odd = vec![("\n\"é\u{0}".to_owned(), vec![0_u8, 255, 10].into())];
    let set = world.parts.embedded.set(from, odd, StoreLimits::default());
    set.await.unwrap();

    let text = world
        .ask("ada", Method::GET, &export("from"), "")
        .await
        .unwrap();
    assert_eq!(text.lines().count(), 2347);
    assert!(
        text.ends_with("\n{\"keys\":2346}\n"),
        "{}",
        &text[text.len() - 80..]
    );
    let done = world
        .ask("ada", Method::POST, &import("to", ""), &text)
        .await;
    assert_eq!(done.unwrap(), "{\"keys\":2346}");
    let again = world.ask("eve", Method::GET, &export("to"), "").await;
    assert_eq!(again.unwrap(), text);

    let told = world.events(3).await;
    let event = |reason: &str, note: &str, name: &str| {
        (reason.to_owned(), note.to_owned(), name.to_owned())
    };
    assert_eq!(
        told[0],
        event("Exported", "User ada read 2346 keys", "from")
    );
    assert_eq!(told[1], event("Imported", "User ada wrote 2346 keys", "to"));
    assert_eq!(told[2], event("Exported", "User eve read 2346 keys", "to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_come_in_several_pages_and_an_export_goes_on_after_a_key() {
    let world = World::start().await;
    let id = StoreId::random();
    world.store("large", id);
    let limits = StoreLimits {
        value_bytes: 8 << 20,
        ..StoreLimits::default()
    };
    for n in 0..5 {
        let pair = vec![(format!("key-{n}"), vec![n; 3 << 20].into())];
        world.parts.embedded.set(id, pair, limits).await.unwrap();
    }
    let text = world
        .ask(ADMIN, Method::GET, &export("large"), "")
        .await
        .unwrap();
    let read: Vec<Line> = text
        .lines()
        .map(|line| Line::read(line.as_bytes()).unwrap())
        .collect();
    assert_eq!(read.len(), 6);
    assert_eq!(read[4], Line::Entry("key-4".to_owned(), vec![4; 3 << 20]));
    let path = format!("{}?after=key-3", export("large"));
    let text = world.ask(ADMIN, Method::GET, &path, "").await.unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.ends_with("{\"keys\":1}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_gets_nothing_and_changes_nothing() {
    let world = World::start().await;
    let id = StoreId::random();
    world.store("secret", id);
    world.fill(id, 3).await;
    let elsewhere = export("secret").replace("/shop/", "/bank/");
    let orphans = format!("{ROOT}/storeorphans");
    let one = format!("{orphans}/{id}");
    for (method, path, body) in [
        (Method::GET, elsewhere.clone(), String::new()),
        (
            Method::POST,
            elsewhere.replace("export", "import"),
            lines(&[], 0),
        ),
        (Method::GET, orphans, String::new()),
        (Method::DELETE, one.clone(), String::new()),
        (
            Method::POST,
            format!("{one}/adopt"),
            json!({"namespace": "shop"}).to_string(),
        ),
    ] {
        let (code, message) = world.ask("ada", method, &path, &body).await.unwrap_err();
        assert_eq!(code, 403, "{path}: {message}");
        assert!(message.contains("User \"ada\" cannot"), "{message}");
    }
    assert_eq!(world.keys(id).await, 3);

    // Whoever is not the API server.
    let ask = async |identity, user| {
        world
            .ask_as(&identity, user, Method::GET, &export("secret"), "")
            .await
    };
    let (code, _) = ask(world.authority.client("somebody"), ADMIN)
        .await
        .unwrap_err();
    assert_eq!(code, 401);
    let (code, _) = ask(world.authority.client(FRONT), "").await.unwrap_err();
    assert_eq!(code, 401);
    let (code, _) = ask(FrontAuthority::new().client(FRONT), ADMIN)
        .await
        .unwrap_err();
    assert_eq!(code, 0, "no connection");
    assert!(world.server.events.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_says_what_is_wrong_and_how_far_it_came() {
    let world = World::start().await;
    let (id, full) = (StoreId::random(), StoreId::random());
    world.store("to", id);
    world.store("full", full);
    world.fill(full, 1).await;
    let two = [("a", &b"1"[..]), ("b", b"2")];
    let refused = async |path: &str, body: &str| {
        let answer = world.ask("ada", Method::POST, path, body).await;
        answer.unwrap_err()
    };
    for body in [lines(&two, 2), lines(&[], 0)] {
        let (code, message) = refused(&import("full", ""), &body).await;
        assert_eq!(code, 409, "{message}");
        assert!(message.contains("it holds 1 keys"), "{message}");
    }
    let over = world
        .ask(
            "ada",
            Method::POST,
            &import("full", "?overwrite=true"),
            &lines(&two, 2),
        )
        .await;
    assert_eq!(over.unwrap(), "{\"keys\":2}");
    assert_eq!(world.keys(full).await, 3);

    let cut = lines(&two, 2).replace("{\"keys\":2}\n", "");
    let long = "x".repeat(1025);
    for (body, code, words) in [
        (cut, 400, "was cut"),
        (lines(&two, 3), 400, "says 3 entries"),
        ("nonsense\n".to_owned(), 400, "line 1"),
        (lines(&[(&long, b"")], 1), 422, "limit of 1024"),
    ] {
        let (found, message) = refused(&import("to", "?overwrite=true"), &body).await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
        assert!(message.contains("keys were written before"), "{message}");
    }
    let (code, message) = refused(&import("nowhere", ""), &lines(&[], 0)).await;
    assert_eq!(code, 404, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_keeps_to_the_limits_of_the_class() {
    let world = World::start().await;
    let id = StoreId::random();
    world.store("small", id);
    let class = |keys| v1::StoreClass {
        name: "embedded".to_owned(),
        backend: Some(v1::store_class::Backend::Embedded(v1::EmbeddedBackend {})),
        limits: Some(v1::StoreLimits {
            keys,
            ..Default::default()
        }),
        ..Default::default()
    };
    world
        .parts
        .classes
        .publish([("embedded".to_owned(), Seen::Class(Box::new(class(1))))].into());
    let two = lines(&[("a", b"1"), ("b", b"2")], 2);
    until("the limit holds", async || {
        let path = import("small", "?overwrite=true");
        let answer = world.ask("ada", Method::POST, &path, &two).await;
        answer.is_err_and(|(code, message)| code == 422 && message.contains("limit of 1"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_data_is_listed_adopted_and_purged() {
    let world = World::start().await;
    let (kept, adopted, purged) = (StoreId::random(), StoreId::random(), StoreId::random());
    for (name, id) in [("kept", kept), ("adopted", adopted), ("purged", purged)] {
        world.fill(id, 2).await;
        let object = store(
            id,
            json!({"metadata": {"name": name, "uid": name}, "spec": {"app": name}}),
        );
        world.parts.world.change(|index| index.apply(object));
    }
    let seen = async |id, orphan| {
        world.parts.planned();
        let since = world.parts.orphan_since(id).await;
        since.is_some_and(|since: Option<i64>| since.is_some() == orphan)
    };
    until("the Stores are known", async || seen(purged, false).await).await;
    for (name, id) in [("adopted", adopted), ("purged", purged)] {
        let object = store(
            id,
            json!({"metadata": {"name": name, "uid": name}, "spec": {"app": name}}),
        );
        world.parts.world.change(|index| index.delete(&object));
    }
    until("their data is orphaned", async || {
        seen(adopted, true).await && seen(purged, true).await
    })
    .await;
    world.store("kept", kept);

    let orphans = format!("{ROOT}/storeorphans");
    let ask = async |method, path: &str, body: &str| world.ask(ADMIN, method, path, body).await;
    let list = ask(Method::GET, &orphans, "").await.unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array().unwrap();
    let mut names: Vec<_> = items
        .iter()
        .map(|item| item["metadata"]["name"].clone())
        .collect();
    names.sort_by_key(Value::to_string);
    let mut expected = vec![json!(adopted.to_string()), json!(purged.to_string())];
    expected.sort_by_key(Value::to_string);
    assert_eq!(names, expected);
    assert_eq!(items[0]["status"]["keys"], 2);
    assert_eq!(items[0]["store"]["namespace"], "shop");
    let page = ask(Method::GET, &format!("{orphans}?limit=1"), "")
        .await
        .unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        page["metadata"]["continue"],
        page["items"][0]["metadata"]["name"]
    );

    // That of a Store is none.
    let of_store = format!("{orphans}/{kept}");
    assert_eq!(ask(Method::DELETE, &of_store, "").await.unwrap_err().0, 409);
    let body = json!({"namespace": "shop"}).to_string();
    let adopt = ask(Method::POST, &format!("{of_store}/adopt"), &body).await;
    assert_eq!(adopt.unwrap_err().0, 404);
    assert_eq!(world.keys(kept).await, 2);

    let body = json!({"namespace": "bank", "app": "hello"}).to_string();
    let made = ask(Method::POST, &format!("{orphans}/{adopted}/adopt"), &body).await;
    let made: Value = serde_json::from_str(&made.unwrap()).unwrap();
    assert_eq!(made["metadata"]["name"], "hello-default");
    assert_eq!(made["metadata"]["namespace"], "bank");
    assert_eq!(made["spec"]["id"], adopted.to_string());
    let again = ask(Method::POST, &format!("{orphans}/{adopted}/adopt"), &body).await;
    assert_eq!(again.unwrap_err().0, 409, "it is a Store's now");

    let path = format!("{orphans}/{purged}");
    assert!(ask(Method::DELETE, &path, "").await.is_ok());
    assert_eq!(world.keys(purged).await, 0);
    assert_eq!(ask(Method::GET, &path, "").await.unwrap_err().0, 404);
    let reasons: Vec<String> = world
        .events(2)
        .await
        .into_iter()
        .map(|event| event.0)
        .collect();
    assert_eq!(reasons, ["Adopted", "Purged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_learn_what_there_is() {
    let world = World::start().await;
    let ask = async |path: &str| -> Value {
        let text = world.ask("system:anonymous", Method::GET, path, "").await;
        serde_json::from_str(&text.unwrap()).unwrap()
    };
    assert_eq!(ask("/apis").await["groups"][0]["name"], "runtime.shoal.dev");
    assert_eq!(ask("/apis/runtime.shoal.dev").await["kind"], "APIGroup");
    let resources = ask(ROOT).await;
    let names = resources["resources"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|resource| resource["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "storeorphans",
            "storeorphans/adopt",
            "stores/export",
            "stores/import"
        ]
    );
    assert_eq!(ask("/openapi/v2").await["swagger"], "2.0");
    assert!(ask("/openapi/v3").await["paths"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_is_not_there_is_said_and_a_store_pod_that_is_not_is_not_described() {
    let world = World::start().await;
    let mut object = world.store("elsewhere", StoreId::random());
    object["metadata"]["name"] = "lost".into();
    object["spec"]["className"] = "gone".into();
    world.server.stores.lock().push(object);
    let (code, message) = world
        .ask("ada", Method::GET, &export("lost"), "")
        .await
        .unwrap_err();
    assert_eq!(code, 404);
    assert!(message.contains("no StoreClass `gone`"), "{message}");

    let nobody = StorePod::new("127.0.0.1:1", &identity(&world.parts.ca, Role::Operator));
    let failure = nobody.unwrap().orphans("", 1).await.unwrap_err();
    assert!(!failure.message.contains("127"), "{failure:?}");
    assert!(failure.message.contains("cannot be reached"), "{failure:?}");
}
