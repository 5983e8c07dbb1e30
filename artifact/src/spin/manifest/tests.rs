use proptest::prelude::*;

use super::*;
use crate::Reason;

const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"shop\"\n";

fn with(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

fn component(rest: &str) -> String {
    with(&format!(
        "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"api\"\n\
         [component.api]\nsource = \"api.wasm\"\n{rest}"
    ))
}

#[test]
fn a_manifest_as_templates_write_it_is_read() {
    let text = with(
        r#"
        version = "0.1.0"
        description = "A shop"
        authors = ["A <a@example.com>"]
        [[trigger.http]]
        route = "/api/..."
        component = "api"
        executor = { type = "http" }
        [[trigger.http]]
        route = "/health"
        component = "api"
        [[trigger.http]]
        route = "/"
        component = "page"
        [component.api]
        source = "target/wasm32-wasip1/release/api.wasm"
        key_value_stores = ["default"]
        sqlite_databases = ["default", "other"]
        allowed_outbound_hosts = ["https://example.com"]
        environment = { LEVEL = "debug" }
        [component.api.build]
        command = "cargo build"
        watch = ["src/**/*.rs"]
        [component.page]
        source = "page.wasm"
        "#,
    );
    let plan = read(&text).unwrap();
    assert_eq!(plan.name, "shop");
    let api = &plan.components[0];
    assert_eq!(
        api.routes.iter().map(Route::as_str).collect::<Vec<_>>(),
        ["/api/...", "/health"]
    );
    assert_eq!(
        api.key_value_stores.as_deref(),
        Some(&["default".to_owned()][..])
    );
    assert_eq!(api.env["LEVEL"], "debug");
    assert_eq!(
        api.wasm,
        WasmSource::File("target/wasm32-wasip1/release/api.wasm".into())
    );
    assert_eq!(plan.components[1].key_value_stores, None);
    assert_eq!(plan.components[1].sqlite_databases, None);
    assert_eq!(
        plan.components[0].sqlite_databases.as_deref(),
        Some(&["default".to_owned(), "other".to_owned()][..])
    );
}

#[test]
fn what_is_not_served_is_refused_by_its_name() {
    for (text, feature) in [
        (
            component("files = [\"a\"]"),
            "component `api` needs `files`",
        ),
        (component("ai_models = [\"llama2-chat\"]"), "`ai_models`"),
        (
            component("[component.api.dependencies]\n\"a:b/c\" = \"1\""),
            "`dependencies`",
        ),
        (
            component("[application.trigger.redis]\naddress = \"r\""),
            "`redis`",
        ),
        (
            component("[[trigger.redis]]\nchannel = \"c\"\ncomponent = \"api\""),
            "`redis`",
        ),
        (
            component("[application.trigger.http]\nbase = \"/v1\""),
            "`base = \"/v1\"`",
        ),
        (
            component("allowed_outbound_hosts = [\"http://self\"]"),
            "`http://self`",
        ),
        (
            component("[[trigger.http]]\ncomponent = \"api\"\nroute = { private = true }"),
            "`route = { private = true }`",
        ),
        (
            component(
                "[[trigger.http]]\ncomponent = \"api\"\nroute = \"/x\"\nexecutor = { type = \"wagi\" }",
            ),
            "wagi",
        ),
        (
            component("[[trigger.http]]\nroute = \"/x\"\nstatic_response = { status_code = 200 }"),
            "`static_response`",
        ),
        (
            component("[component.lone]\nsource = \"b.wasm\""),
            "`lone` has no http trigger",
        ),
    ] {
        let refusal = read(&text).expect_err(&text);
        assert_eq!(refusal.reason, Reason::UnsupportedFeature, "{refusal}");
        assert!(refusal.message.contains(feature), "{refusal}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_where_it_is() {
    for (text, word) in [
        (String::new(), "spin_manifest_version"),
        ("spin_version = \"1\"".into(), "version \"1\""),
        (component("sources = 1"), "unknown field `sources`"),
        (
            with("[[trigger.http]]\nroute = \"/\"\ncomponent = \"x\""),
            "`x`",
        ),
        (component("source = 1"), "duplicate key"),
        (
            with("[component.a]\nsource = { url = \"u\", digest = \"d\" }"),
            "downloaded",
        ),
        (with(""), "no components"),
        ("\u{0}".into(), "not valid"),
    ] {
        let refusal = read(&text).expect_err(&text);
        assert_eq!(refusal.reason, Reason::UnsupportedArtifact, "{refusal}");
        assert!(refusal.message.contains(word), "{refusal}");
    }
    let bad_route = component("[[trigger.http]]\nroute = \"x\"\ncomponent = \"api\"");
    assert_eq!(read(&bad_route).unwrap_err().reason, Reason::InvalidRoute);
}

#[test]
fn variables_are_read_with_defaults_and_templates() {
    let text = component(
        "variables = { url = \"https://{{ host }}\", key = \"{{ key }}\" }\n\
         [variables]\nhost = { default = \"a.example\", description = \"Where\" }\n\
         key = { required = true, secret = true }\n",
    );
    let plan = read(&text).unwrap();
    assert_eq!(plan.variables["host"].as_deref(), Some("a.example"));
    assert_eq!(plan.variables["key"], None);
    assert_eq!(plan.components[0].variables["url"], "https://{{ host }}");
    for (variables, word) in [
        ("[variables]\na = {}", "`a`"),
        (
            "[variables]\na = { required = true, default = \"\" }",
            "`a`",
        ),
        ("[variables]\nA = { required = true }", "`A`"),
        ("[variables]\na = { defualt = \"\" }", "defualt"),
        ("variables = { x = \"{{ y }}\" }", "`y`"),
    ] {
        let refusal = read(&component(variables)).expect_err(variables);
        assert_eq!(refusal.reason, Reason::UnsupportedArtifact);
        assert!(refusal.message.contains(word), "{refusal}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = read(&text);
        let _ = read(&component(&text));
    }
}
