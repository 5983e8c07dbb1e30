//! A new image, without one failed request.

use serde_json::json;
use shoal_e2e::{App, LONG, Load, Namespace, Target, image, until};

fn targets(app: &App) -> Vec<Target> {
    let replicas = Target::replicas(app, "/");
    [Target::service(app, "/")]
        .into_iter()
        .chain(replicas)
        .collect()
}

#[test]
fn a_new_image_replaces_the_old_once_per_node_and_no_request_fails() {
    let namespace = Namespace::new("rollout");
    let app = namespace.app("rolling", &image("hello-v1"));
    app.apply().ready();
    let load = Load::start(3, &targets(&app));

    let app = app.with("image", json!(image("hello-v2")));
    app.apply().ready();
    until("the new answer from every replica", LONG, || {
        let answers = app.get_from_each_replica("/");
        if answers.iter().all(|a| a.body.trim() == "v2") {
            Ok(())
        } else {
            Err(answers)
        }
    });
    let reports = load.stop();

    for report in &reports {
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(report.requests > 0);
    }
    for replica in &reports[1..] {
        let bodies: Vec<&str> = replica.bodies.iter().map(|body| body.trim()).collect();
        assert_eq!(bodies, ["v1", "v2"], "a node changes once");
    }
}

#[test]
fn a_new_image_that_does_not_build_leaves_the_old_one_serving() {
    let namespace = Namespace::new("badroll");
    let app = namespace.app("steady", &image("hello-v1"));
    app.apply().ready();
    let load = Load::start(1, &targets(&app));

    let app = app.with("image", json!(image("unknown-import")));
    app.apply();
    app.wait_for_reason("Built", "False", "UnsupportedImport", &["acme:widgets/"]);
    app.wait_for_reason("Ready", "False", "RevisionFailed", &["acme:widgets/"]);
    app.wait_for("Available", "True", LONG);
    assert_eq!(app.get(2, "/").body.trim(), "v1");
    for report in load.stop() {
        assert_eq!(report.failed, 0, "{:?}", report.failures);
    }
    app.with("image", json!(image("hello-v2"))).apply().ready();
}
