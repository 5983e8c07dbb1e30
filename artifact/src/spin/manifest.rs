//! Reader of `spin.toml`, version 2.
//!
//! <https://spinframework.dev/v3/manifest-reference>

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::require::{absent, base_path, executor, http_trigger, invalid, refuse, route};
use crate::{
    AppPlan, ComponentPlan, Refusal, Route, WasmSource, limits, outbound, plan, variables::Declared,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "spin_manifest_version")]
    _version: Value,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    component: BTreeMap<String, Component>,
}

/// That a value is secret changes nothing: all of them are treated so.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    #[serde(default)]
    default: Option<String>,
    #[serde(default)]
    required: Option<bool>,
    #[serde(default, rename = "secret")]
    _secret: bool,
    #[serde(default, rename = "description")]
    _description: Option<String>,
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
    variables: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<Value>,
    #[serde(default)]
    key_value_stores: Option<Vec<String>>,
    #[serde(default)]
    sqlite_databases: Option<Vec<String>>,
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
        invalid(format!(
            "spin.toml is not valid: {}",
            error.to_string().trim_end()
        ))
    };
    check_version(&toml::from_str(text).map_err(not_valid)?)?;
    let manifest: Manifest = toml::from_str(text).map_err(not_valid)?;
    let variables = read_variables(&manifest.variables)?;
    check_trigger_settings(&manifest.application)?;
    let mut routes = read_triggers(&manifest)?;
    let components = manifest.component.into_iter().map(|(name, component)| {
        let routes = routes.remove(&name).unwrap_or_default();
        read_component(name, component, routes)
    });
    let components = components.collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = routes.keys().next() {
        return Err(invalid(format!(
            "spin.toml has a trigger for component `{name}`, which it does not have"
        )));
    }
    AppPlan {
        name: manifest.application.name,
        variables,
        components,
    }
    .checked()
}

fn read_variables(variables: &BTreeMap<String, Variable>) -> Result<Declared, Refusal> {
    let one = |(name, variable): (&String, &Variable)| match (&variable.default, variable.required)
    {
        (Some(default), None | Some(false)) => Ok((name.clone(), Some(default.clone()))),
        (None, Some(true)) => Ok((name.clone(), None)),
        _ => Err(invalid(format!(
            "spin.toml has variable `{name}`: exactly one of `default` and `required = true` is needed"
        ))),
    };
    variables.iter().map(one).collect()
}

fn check_version(table: &Table) -> Result<(), Refusal> {
    let version = table
        .get("spin_manifest_version")
        .or_else(|| table.get("spin_version"));
    match version {
        Some(Value::Integer(2)) => Ok(()),
        Some(Value::String(text)) if text == "2" => Ok(()),
        Some(other) => Err(invalid(format!(
            "spin.toml has version {other}; version 2 is served (`spin doctor` converts it)"
        ))),
        None => Err(invalid(
            "spin.toml has no `spin_manifest_version = 2`".into(),
        )),
    }
}

fn check_trigger_settings(application: &Application) -> Result<(), Refusal> {
    for (trigger_type, settings) in &application.trigger {
        http_trigger(trigger_type)?;
        for (key, value) in settings {
            match (key.as_str(), value.as_str()) {
                ("base", Some(base)) => base_path(Some(base))?,
                _ => {
                    return Err(refuse(
                        "the app",
                        &format!("application.trigger.http.{key}"),
                    ));
                }
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
                invalid(format!(
                    "spin.toml has a trigger that is not valid: {error}"
                ))
            })?;
            let (component, route) = read_trigger(trigger)?;
            routes.entry(component).or_default().push(route);
        }
    }
    Ok(routes)
}

fn read_trigger(trigger: HttpTrigger) -> Result<(String, Route), Refusal> {
    absent(
        "a trigger",
        "static_response",
        trigger.static_response.is_some(),
    )?;
    let component = match trigger.component {
        Some(Value::String(name)) => name,
        Some(_) => return Err(refuse("a trigger", "component = { .. } (inline)")),
        None => {
            return Err(invalid(
                "spin.toml has a trigger without `component`".into(),
            ));
        }
    };
    let subject = plan::subject(&component);
    absent(
        &subject,
        "trigger.http.components",
        !trigger.components.is_empty(),
    )?;
    absent(
        &subject,
        "trigger.http.dependencies",
        !trigger.dependencies.is_empty(),
    )?;
    executor(
        &subject,
        trigger
            .executor
            .as_ref()
            .map(|executor| executor.r#type.as_str()),
    )?;
    match trigger.route {
        Some(Value::String(text)) => Ok((component, route(&subject, &text)?)),
        Some(_) => Err(refuse(&subject, "route = { private = true }")),
        None => Err(invalid(format!("{subject} has a trigger without `route`"))),
    }
}

fn read_component(
    name: String,
    component: Component,
    routes: Vec<Route>,
) -> Result<ComponentPlan, Refusal> {
    let subject = plan::subject(&name);
    absent(&subject, "files", !component.files.is_empty())?;
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
        variables: component.variables,
        key_value_stores: component.key_value_stores,
        sqlite_databases: component.sqlite_databases,
        allowed_outbound_hosts: hosts,
        wasm: WasmSource::File(source),
    })
}

#[cfg(test)]
mod tests;
