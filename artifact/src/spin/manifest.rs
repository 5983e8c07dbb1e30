//! Reader of `spin.toml`, version 2.
//!
//! <https://spinframework.dev/v3/manifest-reference>

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::require::{absent, base_path, executor, http_trigger, invalid, refuse, route};
use crate::{AppPlan, ComponentPlan, Refusal, Route, WasmSource, limits, outbound, plan};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "spin_manifest_version")]
    _version: Value,
    application: Application,
    #[serde(default)]
    variables: Table,
    #[serde(default)]
    trigger: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    #[serde(default)]
    trigger: BTreeMap<String, Table>,
    // What describes or builds the app and changes nothing about how it runs.
    #[serde(default, rename = "version")]
    _version: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
    #[serde(default, rename = "targets")]
    _targets: Vec<Value>,
    #[serde(default, rename = "tool")]
    _tool: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpTrigger {
    #[serde(default, rename = "id")]
    _id: Option<String>,
    #[serde(default)]
    component: Option<Value>,
    route: Option<Value>,
    #[serde(default)]
    executor: Option<Executor>,
    #[serde(default)]
    components: Table,
    #[serde(default)]
    dependencies: Table,
    #[serde(default)]
    static_response: Option<Value>,
}

#[derive(Deserialize)]
struct Executor {
    r#type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Component {
    source: Value,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    variables: Table,
    #[serde(default)]
    files: Vec<Value>,
    #[serde(default)]
    key_value_stores: Option<Vec<String>>,
    #[serde(default)]
    sqlite_databases: Vec<String>,
    #[serde(default)]
    ai_models: Vec<String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    allowed_http_hosts: Vec<String>,
    #[serde(default)]
    dependencies: Table,
    // Only with `files` and `dependencies`, which are refused.
    #[serde(default, rename = "exclude_files")]
    _exclude_files: Vec<String>,
    #[serde(default, rename = "dependencies_inherit_configuration")]
    _inherit: bool,
    // Alternatives that run only where `--profile` names one.
    #[serde(default, rename = "profile")]
    _profile: Table,
    // What describes or builds the component.
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "targets")]
    _targets: Vec<Value>,
    #[serde(default, rename = "build")]
    _build: Option<Value>,
    #[serde(default, rename = "tool")]
    _tool: Table,
}

/// Reads a `spin.toml`. Component sources are paths relative to its folder.
///
/// # Errors
/// It is not valid, or asks for what this version does not serve (by exact name).
pub fn read(text: &str) -> Result<AppPlan, Refusal> {
    if text.len() as u64 > limits::CONFIG_BYTES {
        return Err(invalid("spin.toml is larger than 4 MiB".into()));
    }
    let not_valid = |error: toml::de::Error| {
        invalid(format!("spin.toml is not valid: {}", error.to_string().trim_end()))
    };
    check_version(&toml::from_str(text).map_err(not_valid)?)?;
    let manifest: Manifest = toml::from_str(text).map_err(not_valid)?;
    absent("the app", "variables", !manifest.variables.is_empty())?;
    check_trigger_settings(&manifest.application)?;
    let mut routes = read_triggers(&manifest)?;
    let components = manifest.component.into_iter().map(|(name, component)| {
        let routes = routes.remove(&name).unwrap_or_default();
        read_component(name, component, routes)
    });
    let components = components.collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = routes.keys().next() {
        return Err(invalid(format!("spin.toml has a trigger for component `{name}`, which it does not have")));
    }
    AppPlan { name: manifest.application.name, components }.checked()
}

fn check_version(table: &Table) -> Result<(), Refusal> {
    let version = table.get("spin_manifest_version").or_else(|| table.get("spin_version"));
    match version {
        Some(Value::Integer(2)) => Ok(()),
        Some(Value::String(text)) if text == "2" => Ok(()),
        Some(other) => Err(invalid(format!(
            "spin.toml has version {other}; version 2 is served (`spin doctor` converts it)"
        ))),
        None => Err(invalid("spin.toml has no `spin_manifest_version = 2`".into())),
    }
}

fn check_trigger_settings(application: &Application) -> Result<(), Refusal> {
    for (trigger_type, settings) in &application.trigger {
        http_trigger(trigger_type)?;
        for (key, value) in settings {
            match (key.as_str(), value.as_str()) {
                ("base", Some(base)) => base_path(Some(base))?,
                _ => return Err(refuse("the app", &format!("application.trigger.http.{key}"))),
            }
        }
    }
    Ok(())
}

fn read_triggers(manifest: &Manifest) -> Result<BTreeMap<String, Vec<Route>>, Refusal> {
    let mut routes: BTreeMap<String, Vec<Route>> = BTreeMap::new();
    for (trigger_type, triggers) in &manifest.trigger {
        http_trigger(trigger_type)?;
        for trigger in triggers {
            let trigger: HttpTrigger = trigger.clone().try_into().map_err(|error| {
                invalid(format!("spin.toml has a trigger that is not valid: {error}"))
            })?;
            let (component, route) = read_trigger(trigger)?;
            routes.entry(component).or_default().push(route);
        }
    }
    Ok(routes)
}

fn read_trigger(trigger: HttpTrigger) -> Result<(String, Route), Refusal> {
    absent("a trigger", "static_response", trigger.static_response.is_some())?;
    let component = match trigger.component {
        Some(Value::String(name)) => name,
        Some(_) => return Err(refuse("a trigger", "component = { .. } (inline)")),
        None => return Err(invalid("spin.toml has a trigger without `component`".into())),
    };
    let subject = plan::subject(&component);
    absent(&subject, "trigger.http.components", !trigger.components.is_empty())?;
    absent(&subject, "trigger.http.dependencies", !trigger.dependencies.is_empty())?;
    executor(&subject, trigger.executor.as_ref().map(|executor| executor.r#type.as_str()))?;
    match trigger.route {
        Some(Value::String(text)) => Ok((component, route(&subject, &text)?)),
        Some(_) => Err(refuse(&subject, "route = { private = true }")),
        None => Err(invalid(format!("{subject} has a trigger without `route`"))),
    }
}

fn read_component(name: String, component: Component, routes: Vec<Route>) -> Result<ComponentPlan, Refusal> {
    let subject = plan::subject(&name);
    absent(&subject, "files", !component.files.is_empty())?;
    absent(&subject, "variables", !component.variables.is_empty())?;
    absent(&subject, "sqlite_databases", !component.sqlite_databases.is_empty())?;
    absent(&subject, "ai_models", !component.ai_models.is_empty())?;
    absent(&subject, "dependencies", !component.dependencies.is_empty())?;
    let mut hosts = component.allowed_outbound_hosts;
    hosts.extend(component.allowed_http_hosts);
    outbound::check(&subject, &hosts)?;
    let Value::String(source) = component.source else {
        let message = format!(
            "{subject} has a source that is to be downloaded; only a path is served here (`spin \
             registry push` makes an image that holds it)"
        );
        return Err(invalid(message));
    };
    Ok(ComponentPlan {
        name,
        routes,
        env: component.environment,
        key_value_stores: component.key_value_stores,
        allowed_outbound_hosts: hosts,
        wasm: WasmSource::File(source),
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(api.routes.iter().map(Route::as_str).collect::<Vec<_>>(), ["/api/...", "/health"]);
        assert_eq!(api.key_value_stores.as_deref(), Some(&["default".to_owned()][..]));
        assert_eq!(api.env["LEVEL"], "debug");
        assert_eq!(api.wasm, WasmSource::File("target/wasm32-wasip1/release/api.wasm".into()));
        assert_eq!(plan.components[1].key_value_stores, None);
    }

    #[test]
    fn what_is_not_served_is_refused_by_its_name() {
        for (text, feature) in [
            (component("files = [\"a\"]"), "component `api` needs `files`"),
            (component("sqlite_databases = [\"default\"]"), "`sqlite_databases`"),
            (component("ai_models = [\"llama2-chat\"]"), "`ai_models`"),
            (component("[component.api.variables]\na = \"{{ b }}\""), "`variables`"),
            (component("[component.api.dependencies]\n\"a:b/c\" = \"1\""), "`dependencies`"),
            (component("[variables]\na = { default = \"b\" }"), "the app needs `variables`"),
            (component("[application.trigger.redis]\naddress = \"r\""), "`redis`"),
            (component("[[trigger.redis]]\nchannel = \"c\"\ncomponent = \"api\""), "`redis`"),
            (component("[application.trigger.http]\nbase = \"/v1\""), "`base = \"/v1\"`"),
            (component("allowed_outbound_hosts = [\"http://self\"]"), "`http://self`"),
            (component("[[trigger.http]]\ncomponent = \"api\"\nroute = { private = true }"), "`route = { private = true }`"),
            (component("[[trigger.http]]\ncomponent = \"api\"\nroute = \"/x\"\nexecutor = { type = \"wagi\" }"), "wagi"),
            (component("[[trigger.http]]\nroute = \"/x\"\nstatic_response = { status_code = 200 }"), "`static_response`"),
            (component("[component.lone]\nsource = \"b.wasm\""), "`lone` has no http trigger"),
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
            (with("[[trigger.http]]\nroute = \"/\"\ncomponent = \"x\""), "`x`"),
            (component("source = 1"), "duplicate key"),
            (with("[component.a]\nsource = { url = \"u\", digest = \"d\" }"), "downloaded"),
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

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = read(&text);
            let _ = read(&component(&text));
        }
    }
}
