//! Reader of the locked app: the JSON that Spin pushes with an app.
//!
//! As in Spin's crate `spin-locked-app`. Unknown fields are ignored, as Spin does; what an app says
//! must be understood is not.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;

use super::require::{absent, base_path, executor, http_trigger, invalid, refuse, route};
use crate::{
    AppPlan, ComponentPlan, Digest, Refusal, Route, WasmSource, limits, oci::Descriptor, outbound,
    plan,
};

#[derive(Deserialize)]
struct LockedApp {
    spin_lock_version: u32,
    #[serde(default)]
    must_understand: Vec<String>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    host_requirements: BTreeMap<String, Value>,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    triggers: Vec<Trigger>,
    components: Vec<Component>,
}

/// That a value is secret changes nothing: all of them are treated so.
#[derive(Deserialize)]
struct Variable {
    #[serde(default)]
    default: Option<String>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
    /// Newer locked apps: settings by trigger type.
    #[serde(default)]
    triggers: BTreeMap<String, Value>,
    /// Older ones: settings of the only type.
    #[serde(default)]
    trigger: Option<Value>,
}

#[derive(Deserialize)]
struct Trigger {
    trigger_type: String,
    trigger_config: TriggerConfig,
    #[serde(default)]
    trigger_dependencies: Value,
}

#[derive(Deserialize)]
struct TriggerConfig {
    #[serde(default)]
    component: Option<String>,
    #[serde(default)]
    route: Value,
    #[serde(default)]
    executor: Option<Value>,
    #[serde(default)]
    static_response: Value,
}

#[derive(Deserialize)]
struct Component {
    id: String,
    #[serde(default)]
    metadata: ComponentMetadata,
    source: Source,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<Value>,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    trigger_dependencies: Value,
    #[serde(default)]
    host_requirements: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
struct ComponentMetadata {
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    allowed_http_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Option<Vec<String>>,
    #[serde(default)]
    databases: Option<Vec<String>>,
    #[serde(default)]
    ai_models: Vec<Value>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    inline: Option<String>,
    #[serde(default)]
    digest: Option<String>,
}

/// Fields that an app may say must be understood, and that are read here.
const UNDERSTOOD: &[&str] = &["host_requirements", "component_host_requirements"];

/// Reads a locked app. `layers`: those of the manifest that it came with.
///
/// # Errors
/// It is not valid, or asks for what this version does not serve (by exact name).
pub fn read(json: &[u8], layers: &[Descriptor]) -> Result<AppPlan, Refusal> {
    if json.len() as u64 > limits::CONFIG_BYTES {
        return Err(invalid(
            "the Spin app's description is larger than 4 MiB".into(),
        ));
    }
    let app: LockedApp = serde_json::from_slice(json)
        .map_err(|error| invalid(format!("the Spin app's description is not valid: {error}")))?;
    check_app(&app)?;
    let mut routes = read_triggers(&app.triggers)?;
    let components = app.components.into_iter().map(|component| {
        let routes = routes.remove(&component.id).unwrap_or_default();
        read_component(component, routes, layers)
    });
    let components = components.collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = routes.keys().next() {
        return Err(invalid(format!(
            "the app has a trigger for component `{name}`, which it does not have"
        )));
    }
    let variable = |(name, variable): (String, Variable)| (name, variable.default);
    AppPlan {
        name: app.metadata.name.unwrap_or_default(),
        variables: app.variables.into_iter().map(variable).collect(),
        components,
    }
    .checked()
}

fn check_app(app: &LockedApp) -> Result<(), Refusal> {
    if app.spin_lock_version > 1 {
        let version = app.spin_lock_version;
        return Err(refuse("the app", &format!("spin_lock_version {version}")));
    }
    if let Some(other) = app
        .must_understand
        .iter()
        .find(|name| !UNDERSTOOD.contains(&name.as_str()))
    {
        return Err(refuse("the app", other));
    }
    check_host_requirements("the app", &app.host_requirements)?;
    let settings = app
        .metadata
        .triggers
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    let older = app.metadata.trigger.as_ref().map(|value| {
        (
            value.get("type").and_then(Value::as_str).unwrap_or("http"),
            value,
        )
    });
    for (trigger_type, settings) in settings.chain(older) {
        http_trigger(trigger_type)?;
        base_path(settings.get("base").and_then(Value::as_str))?;
    }
    Ok(())
}

fn check_host_requirements(
    subject: &str,
    requirements: &BTreeMap<String, Value>,
) -> Result<(), Refusal> {
    let required = requirements
        .iter()
        .find(|(_, value)| value.as_str() != Some("optional"));
    match required {
        Some((name, _)) => Err(refuse(subject, name)),
        None => Ok(()),
    }
}

fn read_triggers(triggers: &[Trigger]) -> Result<BTreeMap<String, Vec<Route>>, Refusal> {
    let mut routes: BTreeMap<String, Vec<Route>> = BTreeMap::new();
    for trigger in triggers {
        http_trigger(&trigger.trigger_type)?;
        let config = &trigger.trigger_config;
        absent(
            "a trigger",
            "static_response",
            !is_empty(&config.static_response),
        )?;
        let Some(component) = &config.component else {
            return Err(invalid("the app has a trigger without a component".into()));
        };
        let subject = plan::subject(component);
        absent(
            &subject,
            "trigger_dependencies",
            !is_empty(&trigger.trigger_dependencies),
        )?;
        let kind = config
            .executor
            .as_ref()
            .and_then(|executor| executor.get("type"));
        executor(&subject, kind.and_then(Value::as_str))?;
        let Some(text) = config.route.as_str() else {
            return Err(refuse(&subject, "route = { private = true }"));
        };
        routes
            .entry(component.clone())
            .or_default()
            .push(route(&subject, text)?);
    }
    Ok(routes)
}

fn read_component(
    component: Component,
    routes: Vec<Route>,
    layers: &[Descriptor],
) -> Result<ComponentPlan, Refusal> {
    let subject = plan::subject(&component.id);
    let metadata = component.metadata;
    absent(&subject, "files", !component.files.is_empty())?;
    absent(&subject, "ai_models", !metadata.ai_models.is_empty())?;
    if !component.dependencies.is_empty() {
        let message = format!(
            "{subject} needs `dependencies`, which this version does not compose; push the app \
             again with `spin registry push --compose`"
        );
        return Err(Refusal::new(crate::Reason::UnsupportedFeature, message));
    }
    absent(
        &subject,
        "trigger_dependencies",
        !is_empty(&component.trigger_dependencies),
    )?;
    check_host_requirements(&subject, &component.host_requirements)?;
    let mut hosts = metadata.allowed_outbound_hosts;
    hosts.extend(metadata.allowed_http_hosts);
    outbound::check(&subject, &hosts)?;
    Ok(ComponentPlan {
        wasm: read_source(&subject, component.source, layers)?,
        name: component.id,
        routes,
        env: component.env,
        variables: component.config,
        key_value_stores: metadata.key_value_stores,
        sqlite_databases: metadata.databases,
        allowed_outbound_hosts: hosts,
    })
}

fn read_source(
    subject: &str,
    source: Source,
    layers: &[Descriptor],
) -> Result<WasmSource, Refusal> {
    if let Some(other) = source
        .content_type
        .filter(|kind| kind != "application/wasm")
    {
        return Err(invalid(format!(
            "{subject} has content of type `{other}`, not `application/wasm`"
        )));
    }
    if let Some(text) = source.inline {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| {
                invalid(format!(
                    "{subject} has inline content that is no base64: {error}"
                ))
            })?;
        return Ok(WasmSource::Inline(bytes));
    }
    let Some(digest) = source.digest else {
        return Err(invalid(format!("{subject} has no content in the image")));
    };
    let digest: Digest = digest
        .parse()
        .map_err(|error| invalid(format!("{subject} has content of digest {error}")))?;
    match layers.iter().find(|layer| layer.digest == digest) {
        Some(layer) => Ok(WasmSource::Blob {
            digest,
            size: layer.size,
        }),
        None => Err(invalid(format!(
            "{subject} has content {digest}, which is no layer of the image"
        ))),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
