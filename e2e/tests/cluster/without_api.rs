//! The aggregated API is optional: everything else goes on without it.

use serde_json::{Value, json};
use shoal_e2e::{
    App, LONG, Namespace, SYSTEM, delete, image, json as object, shoal, try_kubectl, until,
};

use crate::transfer::until_served;

const API: [&str; 2] = ["apiservices", "v1alpha1.runtime.shoal.dev"];
const SERVICE: [&str; 4] = ["-n", SYSTEM, "services", "shoal-api"];

/// The API taken out of the cluster, and put back as it was when this is dropped.
struct ApiAway {
    objects: [Value; 2],
}

impl ApiAway {
    fn take() -> Self {
        let objects = [&SERVICE[..], &API[..]].map(|place| object(place).expect("it is installed"));
        let away = Self {
            objects: objects.map(as_written),
        };
        delete(&API);
        delete(&SERVICE);
        away
    }
}

impl Drop for ApiAway {
    fn drop(&mut self) {
        for object in &self.objects {
            // Not `apply`, which panics: the test may have failed already.
            let outcome = try_kubectl(&["apply", "-f", "-"], &object.to_string());
            eprint!("{}", outcome.stderr);
        }
    }
}

/// An object as it can be made again: without what makes it the one it was, and its status.
fn as_written(mut object: Value) -> Value {
    let metadata = object["metadata"].clone();
    object["metadata"] = json!({});
    for field in ["name", "namespace", "labels"] {
        if !metadata[field].is_null() {
            object["metadata"][field] = metadata[field].clone();
        }
    }
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(fields) = object["spec"].as_object_mut() {
        fields.retain(|field, _| !field.starts_with("clusterIP"));
    }
    object
}

fn lives(app: &App) {
    app.apply().ready();
    assert_eq!(app.get(1, "/set/kept/precious").status, 200);
    for node in 1..=3 {
        assert_eq!(app.get(node, "/get/kept").body.trim(), "precious");
    }
    assert_eq!(app.get(2, "/delete/kept").status, 200);
}

#[test]
fn everything_else_works_without_the_api_and_it_comes_back() {
    until_served();
    let away = ApiAway::take();
    let namespace = Namespace::new("without");
    let name = namespace.name().to_owned();
    let app = namespace.app("keeper", &image("kv"));
    lives(&app);
    let list = shoal(&["stores", "list", "-n", &name], "");
    assert!(
        list.ok && list.stdout.contains("keeper-default"),
        "{list:?}"
    );
    let export = ["stores", "export", "keeper-default", "-n", &name];
    let refused = shoal(&export, "");
    assert!(
        !refused.ok && refused.stderr.contains("runtime.shoal.dev"),
        "{refused:?}"
    );
    app.delete();
    lives(&app);
    drop(namespace);
    until("the namespace to be gone", LONG, || {
        match object(&["namespaces", &name]) {
            None => Ok(()),
            Some(object) => Err(object["status"].to_string()),
        }
    });

    drop(away);
    until_served();
    let namespace = Namespace::new("with");
    let app = namespace.app("keeper", &image("kv"));
    lives(&app);
    let export = ["stores", "export", "keeper-default", "-n", namespace.name()];
    let exported = shoal(&export, "");
    assert!(exported.ok, "{}", exported.stderr);
}
