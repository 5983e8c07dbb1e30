//! Objects: chosen by a class, the same on every node, kept when pods go.

use serde_json::{Value, json};
use shoal_e2e::{App, Class, LONG, Namespace, S3, image, json as object, until};

use crate::{classes, parts};

const SECRET: &str = "bucket-horse-battery";

fn store(app: &App) -> Value {
    let name = format!("{}-default-blob", app.name());
    object(&["-n", app.namespace(), "stores.shoal.dev", &name]).expect("a Store")
}

fn text(app: &App, node: u8, path: &str) -> String {
    let answer = app.get(node, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body.trim().to_owned()
}

/// What a Store's status counts.
fn until_counted(app: &App, keys: u64, bytes: u64) {
    let what = format!("{keys} objects to be counted");
    until(&what, LONG, || {
        let status = store(app)["status"].clone();
        if status["keys"] == keys && status["bytes"] == bytes {
            Ok(())
        } else {
            Err(status)
        }
    });
}

#[test]
fn without_a_class_an_app_is_told_what_to_do_and_with_embedded_by_name_it_runs() {
    let namespace = Namespace::new("objects");
    let undecided = namespace.app("undecided", &image("blobs"));
    undecided.apply();
    let bound = undecided.wait_for("StoresBound", "False", LONG);
    assert_eq!(bound["reason"], "NoStoreForLabel", "{bound}");
    let message = bound["message"].as_str().unwrap_or_default();
    assert!(message.contains("interface: Blob"), "{message}");

    let label = json!([{"label": "default", "interface": "Blob", "class": "embedded"}]);
    let app = namespace
        .app("keeper", &image("blobs"))
        .with("stores", label)
        .with("replicas", json!(3));
    app.apply().ready();
    assert_eq!(text(&app, 1, "/put/kept?content=precious"), "written");
    for node in 1..=3 {
        assert_eq!(text(&app, node, "/get/kept"), "precious");
    }
    let answers = app.get_from_each_replica("/list");
    assert_eq!(answers.len(), 3, "every replica answers");
    for answer in answers {
        assert_eq!((answer.status, answer.body.trim()), (200, "1: kept"));
    }
    until_counted(&app, 1, 12);

    parts::replace_all("shoal-store");
    app.ready();
    until("the object to be there again", LONG, || {
        let answer = app.get(2, "/get/kept");
        if answer.status == 200 && answer.body.trim() == "precious" {
            Ok(())
        } else {
            Err(answer)
        }
    });
    app.delete();
    app.apply().ready();
    assert_eq!(text(&app, 1, "/get/kept"), "precious");
}

#[test]
fn a_default_class_of_objects_bounds_them() {
    let namespace = Namespace::new("bounded");
    let class = Class::new("objects", json!({"embedded": {}}))
        .with("interface", json!("Blob"))
        .with("limits", json!({"keys": 2, "valueBytes": "5"}))
        .default_of(&[&namespace]);
    class.apply();
    let app = namespace.app("keeper", &image("blobs"));
    app.apply().ready();
    assert_eq!(store(&app)["spec"]["className"], class.name());
    assert_eq!(text(&app, 1, "/put/a?content=12345"), "written");
    let over = app.get(1, "/put/b?content=123456");
    assert_eq!(over.status, 500);
    assert!(over.body.contains("the limit of 5"), "{over:?}");
    assert_eq!(text(&app, 2, "/put/b?content=1"), "written");
    let over = app.get(2, "/put/c?content=1");
    assert!(over.body.contains("the limit of 2"), "{over:?}");
}

#[test]
fn objects_are_in_a_bucket_that_the_platform_team_chose() {
    let Some(server) = S3::start(SECRET) else {
        return;
    };
    let [one, two] = ["bucket-one", "bucket-two"].map(Namespace::new);
    let (endpoint, bucket) = (server.endpoint(), server.bucket());
    let class = Class::of_bucket("bucket", &endpoint, bucket, server.key(), SECRET)
        .default_of(&[&one, &two]);
    class.apply();
    let apps = [&one, &two].map(|namespace| {
        let app = namespace
            .app("same", &image("blobs"))
            .with("replicas", json!(3));
        app.apply().ready();
        assert_eq!(store(&app)["spec"]["className"], class.name());
        app
    });
    class.wait_for("Ready", "True", &[]);
    for (app, content) in apps.iter().zip(["of-one", "of-two"]) {
        assert_eq!(
            text(app, 1, &format!("/put/a?content={content}")),
            "written"
        );
    }
    for (app, content) in apps.iter().zip(["of-one", "of-two"]) {
        for node in 1..=3 {
            assert_eq!(text(app, node, "/get/a"), content);
            assert_eq!(text(app, node, "/list"), "1: a");
        }
    }
    drop(server);
    let refused = apps[0].get(1, "/get/a");
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(
        !refused.body.contains("10.250") && !refused.body.contains(bucket),
        "{refused:?}"
    );
    class.wait_for("Ready", "False", &[]);
    classes::nobody_tells(SECRET);
}
