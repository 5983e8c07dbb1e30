//! Parts of Shoal, and what it leans on, taken away.

use serde_json::json;
use shoal_e2e::{App, LONG, Namespace, SHORT, SYSTEM, Writes, eventually, image, kubectl, until};

use crate::parts::{self, ControlPlaneAway, RegistryAway};

fn answers(app: &App) {
    for node in 1..=3 {
        let answer = app.get(node, "/");
        assert_eq!(
            (answer.status, answer.body.trim()),
            (200, "v1"),
            "from node{node}"
        );
    }
}

/// Ends the runtime's process of a pod, so that its kubelet starts the container again.
fn restart_container(pod: &str) {
    let restarts = || {
        let path = "jsonpath={.status.containerStatuses[0].restartCount}";
        kubectl(&["-n", SYSTEM, "get", "pod", pod, "-o", path])
    };
    let before = restarts();
    let uid = kubectl(&[
        "-n",
        SYSTEM,
        "get",
        "pod",
        pod,
        "-o",
        "jsonpath={.metadata.uid}",
    ]);
    shoal_e2e::kill_process_of_pod(&uid, "shoal-runtime");
    until("the container to start again", LONG, || match restarts() {
        now if now != before => Ok(()),
        now => Err(now),
    });
    parts::wait_until_ready("shoal-runtime", 3);
}

#[test]
fn apps_serve_on_without_operator_builder_and_registry_and_nothing_is_written_when_they_return() {
    let namespace = Namespace::new("outage");
    let app = namespace
        .app("steadfast", &image("hello-v1"))
        .with("replicas", json!(3));
    app.apply().ready();
    let registry = RegistryAway::take();
    let control_plane = ControlPlaneAway::take();

    answers(&app);
    let pod = parts::pods("shoal-runtime").swap_remove(0).name;
    restart_container(&pod);
    answers(&app);

    // Scaling the parts back is a write of ours; what the operator does from then on is counted.
    let writes = Writes::from_now();
    drop(control_plane);
    drop(registry);
    app.ready();
    answers(&app);
    assert_eq!(writes.by_shoal(), Vec::<String>::new());
}

#[test]
fn endpoints_of_a_killed_runtime_leave_at_once_and_come_back() {
    let namespace = Namespace::new("killed");
    let app = namespace
        .app("survivor", &image("hello-v1"))
        .with("replicas", json!(3));
    app.apply().ready();
    let parts::Pod {
        name: pod, node, ..
    } = parts::pods("shoal-runtime").swap_remove(0);

    kubectl(&[
        "-n",
        SYSTEM,
        "delete",
        "pod",
        &pod,
        "--grace-period=0",
        "--force",
    ]);
    eventually("the dead endpoint to leave", SHORT, || {
        app.ready_endpoints()
            .iter()
            .all(|(serving, _)| *serving != node)
    });
    answers(&app);
    until("the app to be back on its node", LONG, || {
        let ready = app.ready_endpoints();
        if ready.iter().any(|(serving, _)| *serving == node) {
            Ok(())
        } else {
            Err(ready)
        }
    });
    answers(&app);
}
