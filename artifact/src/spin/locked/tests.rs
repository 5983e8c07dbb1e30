use serde_json::json;

use super::*;
use crate::Reason;

fn layers() -> Vec<Descriptor> {
    let digest = Digest::of(b"api");
    vec![Descriptor {
        media_type: "application/wasm".into(),
        digest,
        size: 3,
        platform: None,
    }]
}

fn app() -> Value {
    json!({
        "spin_lock_version": 1,
        "must_understand": ["host_requirements"],
        "metadata": {"name": "shop", "trigger": {"base": "/", "type": "http"}, "origin": "file:///x"},
        "host_requirements": {"local_service_chaining": "optional"},
        "triggers": [{
            "id": "trigger--api", "trigger_type": "http",
            "trigger_config": {"component": "api", "route": "/api/...", "executor": {"type": "http"}}
        }],
        "components": [{
            "id": "api",
            "metadata": {"allowed_outbound_hosts": ["https://example.com"], "key_value_stores": ["default"], "databases": ["default"],
                         "description": "", "build": {"command": "make"}},
            "source": {"content_type": "application/wasm", "digest": Digest::of(b"api")},
            "env": {"A": "b"}
        }]
    })
}

fn read_app(app: &Value) -> Result<AppPlan, Refusal> {
    read(app.to_string().as_bytes(), &layers())
}

#[test]
fn a_locked_app_as_spin_pushes_it_is_read() {
    let plan = read_app(&app()).unwrap();
    let api = &plan.components[0];
    assert_eq!((plan.name.as_str(), api.name.as_str()), ("shop", "api"));
    assert_eq!(api.routes, ["/api/...".parse().unwrap()]);
    assert_eq!(
        api.wasm,
        WasmSource::Blob {
            digest: Digest::of(b"api"),
            size: 3
        }
    );
    assert_eq!(
        api.key_value_stores.as_deref(),
        Some(&["default".to_owned()][..])
    );
    assert_eq!(api.env["A"], "b");
}

#[test]
fn inline_content_is_taken_from_the_description() {
    let mut app = app();
    app["components"][0]["source"] =
        json!({"content_type": "application/wasm", "inline": "AGFzbQ=="});
    assert_eq!(
        read_app(&app).unwrap().components[0].wasm,
        WasmSource::Inline(b"\0asm".to_vec())
    );
}

#[test]
fn what_is_not_served_is_refused_by_its_name() {
    let changes: [(&str, Value, &str); 12] = [
        ("/spin_lock_version", json!(2), "spin_lock_version 2"),
        ("/must_understand", json!(["telepathy"]), "`telepathy`"),
        (
            "/host_requirements",
            json!({"local_service_chaining": "required"}),
            "`local_service_chaining`",
        ),
        ("/metadata/triggers", json!({"redis": {}}), "`redis`"),
        (
            "/metadata/trigger",
            json!({"type": "http", "base": "/v1"}),
            "/v1",
        ),
        ("/triggers/0/trigger_type", json!("redis"), "`redis`"),
        (
            "/triggers/0/trigger_config/route",
            json!({"private": true}),
            "private",
        ),
        (
            "/triggers/0/trigger_config/executor",
            json!({"type": "wagi"}),
            "wagi",
        ),
        (
            "/triggers/0/trigger_config/static_response",
            json!({"status_code": 200}),
            "static_response",
        ),
        (
            "/components/0/files",
            json!([{"path": "a", "digest": "b"}]),
            "component `api` needs `files`",
        ),
        (
            "/components/0/metadata/ai_models",
            json!(["llama2-chat"]),
            "`ai_models`",
        ),
        (
            "/components/0/dependencies",
            json!({"a:b/c": {}}),
            "`dependencies`",
        ),
    ];
    for (pointer, value, word) in changes {
        let mut app = app();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() {
            &mut app
        } else {
            app.pointer_mut(parent).unwrap()
        };
        parent[key] = value;
        let refusal = read_app(&app).expect_err(pointer);
        assert_eq!(
            refusal.reason,
            Reason::UnsupportedFeature,
            "{pointer}: {refusal}"
        );
        assert!(refusal.message.contains(word), "{pointer}: {refusal}");
    }
}

#[test]
fn variables_and_templates_are_read() {
    let mut app = app();
    app["variables"] = json!({
        "host": {"default": "a.example", "secret": false},
        "key": {"description": "from the team", "secret": true},
    });
    app["components"][0]["config"] = json!({"url": "https://{{ host }}/{{ key }}"});
    let plan = read_app(&app).unwrap();
    assert_eq!(plan.variables["host"].as_deref(), Some("a.example"));
    assert_eq!(plan.variables["key"], None);
    assert_eq!(
        plan.components[0].variables["url"],
        "https://{{ host }}/{{ key }}"
    );
    app["components"][0]["config"] = json!({"url": "{{ other }}"});
    assert!(read_app(&app).unwrap_err().message.contains("`other`"));
}

#[test]
fn content_that_is_not_in_the_image_is_refused() {
    for source in [
        json!({"content_type": "application/wasm", "digest": Digest::of(b"other")}),
        json!({"content_type": "application/wasm", "digest": "../x"}),
        json!({"content_type": "application/wasm", "source": "file:///etc/passwd"}),
        json!({"content_type": "application/wasm", "inline": "??"}),
        json!({"content_type": "text/html", "inline": ""}),
    ] {
        let mut app = app();
        app["components"][0]["source"] = source;
        assert_eq!(
            read_app(&app).unwrap_err().reason,
            Reason::UnsupportedArtifact
        );
    }
}
