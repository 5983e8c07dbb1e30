//! An App of five lines answers at its Service's name.

use serde_json::json;
use shoal_e2e::{Namespace, SHORT, image, json, request, until};

#[test]
fn an_app_of_five_lines_answers_by_name_from_every_node_over_both_families() {
    let namespace = Namespace::new("serving");
    let app = namespace.app("hello", &image("hello"));
    app.apply().ready();

    let serving: Vec<String> = app
        .ready_endpoints()
        .into_iter()
        .map(|(node, _)| node)
        .collect();
    assert_eq!(serving.len(), 2, "two replicas are the default");
    assert!(
        (1..=3).any(|n| !serving.contains(&format!("node{n}"))),
        "some node is another one"
    );
    // Ready means that the endpoints are written; each node's kube-proxy follows in its own time.
    for node in 1..=3 {
        for family in ["-4", "-6"] {
            until(&format!("hello on node{node} {family}"), SHORT, || {
                let answer = request(node, &[family, &app.url("/")]);
                let right = (answer.status, answer.body.trim()) == (200, "hello");
                if right { Ok(()) } else { Err(answer) }
            });
        }
    }
}

#[test]
fn environment_of_the_app_reaches_the_guest_and_changes_live() {
    let namespace = Namespace::new("environment");
    let app = namespace.app("greeter", &image("hello")).with(
        "env",
        json!([{"name": "GREETING", "value": "good morning"}]),
    );
    app.apply().ready();
    assert_eq!(app.get(1, "/").body.trim(), "good morning");

    let app = app.with("env", json!([{"name": "GREETING", "value": "good night"}]));
    app.apply();
    until("the new greeting from every replica", SHORT, || {
        let answers = app.get_from_each_replica("/");
        let all = answers.len() == 2 && answers.iter().all(|a| a.body.trim() == "good night");
        if all { Ok(()) } else { Err(answers) }
    });
}

#[test]
fn endpoint_slices_are_as_the_built_in_controllers_would_write_them() {
    let namespace = Namespace::new("slices");
    let app = namespace
        .app("sliced", &image("hello"))
        .with("service", json!({"port": 8080, "labels": {"team": "a"}}));
    app.apply().ready();

    let service =
        json(&["-n", namespace.name(), "service", "sliced"]).expect("the Service is there");
    assert!(service["spec"]["selector"].is_null());
    assert_eq!(service["spec"]["ports"][0]["port"], 8080);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], app.port());
    let slices = app.slices();
    let families: Vec<_> = slices
        .iter()
        .map(|slice| slice["addressType"].as_str())
        .collect();
    assert!(
        families.contains(&Some("IPv4")) && families.contains(&Some("IPv6")),
        "{families:?}"
    );
    for slice in &slices {
        let labels = &slice["metadata"]["labels"];
        assert_eq!(
            labels["endpointslice.kubernetes.io/managed-by"],
            "operator.shoal.dev"
        );
        assert_eq!(labels["kubernetes.io/service-name"], "sliced");
        assert_eq!(labels["team"], "a", "labels of the Service are mirrored");
        let owner = &slice["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], service["metadata"]["uid"]);
        assert_eq!(owner["controller"], true);
        assert_eq!(
            slice["ports"][0]["name"],
            service["spec"]["ports"][0]["name"]
        );
        assert_eq!(slice["ports"][0]["port"], app.port());
        for endpoint in slice["endpoints"].as_array().expect("a list") {
            assert_eq!(endpoint["addresses"].as_array().map(Vec::len), Some(1));
            assert_eq!(
                endpoint["conditions"],
                json!({"ready": true, "serving": true, "terminating": false})
            );
            let node = endpoint["nodeName"].as_str().expect("a node");
            assert_eq!(endpoint["zone"], node.replace("node", "zone-"));
            assert_eq!(endpoint["targetRef"]["kind"], "Pod");
            assert_eq!(endpoint["targetRef"]["namespace"], "shoal-system");
        }
    }
}

#[test]
fn routes_reach_the_component_that_they_name() {
    let namespace = Namespace::new("routes");
    let manifest = json!({
        "apiVersion": "shoal.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "shop", "namespace": namespace.name()},
        "spec": {"components": [
            {"name": "front", "image": image("hello-v1"), "routes": ["/..."]},
            {"name": "api", "image": image("hello-v2"), "routes": ["/api/..."]},
        ]},
    });
    shoal_e2e::apply(&manifest.to_string());
    let app = namespace.app("shop", "");
    app.ready();
    assert_eq!(app.get(1, "/").body.trim(), "v1");
    assert_eq!(app.get(2, "/api").body.trim(), "v2");
    assert_eq!(app.get(3, "/api/orders/7").body.trim(), "v2");
    assert_eq!(app.get(3, "/apis").body.trim(), "v1");
}

#[test]
fn bodies_stream_both_ways() {
    let namespace = Namespace::new("streams");
    let app = namespace.app("echo", &image("echo"));
    app.apply().ready();
    let sent = "0123456789abcdef".repeat(64 * 1024);
    let file = std::env::temp_dir().join(format!("shoal-e2e-body-{}", std::process::id()));
    std::fs::write(&file, &sent).expect("a temporary file can be written");
    let answer = request(
        1,
        &[
            "--data-binary",
            &format!("@{}", file.display()),
            &app.url("/"),
        ],
    );
    std::fs::remove_file(&file).expect("the temporary file is there");
    assert_eq!(answer.status, 200);
    assert!(
        answer.body == sent,
        "{} bytes came back of {}",
        answer.body.len(),
        sent.len()
    );
}
