//! Many apps on the same nodes, each alone in its world.

use shoal_e2e::{Namespace, image};

#[test]
fn each_service_reaches_its_own_app_and_keys_never_mix() {
    let (left, right) = (Namespace::new("left"), Namespace::new("right"));
    let everywhere = serde_json::json!(3);
    let twins = [&left, &right].map(|namespace| {
        namespace
            .app("twin", &image("kv"))
            .with("replicas", everywhere.clone())
    });
    let other = left
        .app("other", &image("hello-v1"))
        .with("replicas", everywhere);
    for app in twins.iter().chain([&other]) {
        app.apply();
    }
    for app in twins.iter().chain([&other]) {
        app.ready();
    }

    for (app, value) in twins.iter().zip(["of-left", "of-right"]) {
        assert_eq!(app.get(1, &format!("/set/owner/{value}")).status, 200);
    }
    for node in 1..=3 {
        for _ in 0..5 {
            assert_eq!(twins[0].get(node, "/get/owner").body.trim(), "of-left");
            assert_eq!(twins[1].get(node, "/get/owner").body.trim(), "of-right");
            assert_eq!(other.get(node, "/").body.trim(), "v1");
        }
    }
    assert_eq!(twins[0].get(1, "/keys").body.trim(), "owner");
    assert_ne!(twins[0].port(), twins[1].port());
}
