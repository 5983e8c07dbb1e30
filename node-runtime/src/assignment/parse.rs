//! From a message of the control stream to an [`Assignment`], or the reason why not.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use shoal_crds::Interface;
use shoal_protocol::v1;

use super::{
    AppRef, Assignment, ComponentSpec, Limits, PortRange, Role, StoreBinding, Variables, bounds,
};

/// An assignment that cannot be served as it is; its app is reported as failed with `message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidAssignment {
    /// Which app, cut to its bounds.
    pub app: AppRef,
    /// Its generation, cut likewise.
    pub generation: String,
    /// The field that is wrong, its value and what is allowed.
    pub message: String,
}

/// Checks a message against every bound.
///
/// # Errors
/// [`InvalidAssignment`] names the first field that is out of bounds.
pub fn parse(message: v1::Assignment, ports: &PortRange) -> Result<Assignment, InvalidAssignment> {
    let app = app_ref(message.app.clone().unwrap_or_default());
    let generation = cut(&message.generation, bounds::HASH);
    assignment(message, app.clone(), ports).map_err(|message| InvalidAssignment {
        app,
        generation,
        message,
    })
}

/// An app's names, cut to their bounds, so that reports about nonsense stay small.
pub(crate) fn app_ref(message: v1::AppRef) -> AppRef {
    AppRef {
        namespace: cut(&message.namespace, bounds::NAME),
        name: cut(&message.name, bounds::NAME),
        uid: cut(&message.uid, bounds::HASH),
    }
}

fn cut(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes))
        .unwrap_or_default()
        .to_owned()
}

fn assignment(
    message: v1::Assignment,
    app: AppRef,
    ports: &PortRange,
) -> Result<Assignment, String> {
    let given = message.app.clone().unwrap_or_default();
    check_name("app.namespace", &given.namespace)?;
    check_name("app.name", &given.name)?;
    check_length("app.uid", &given.uid, 0, bounds::HASH)?;
    let role = role(message.role())?;
    check_length("revision", &message.revision, 1, bounds::HASH)?;
    check_length("generation", &message.generation, 1, bounds::HASH)?;
    let port = u16::try_from(message.port)
        .ok()
        .filter(|port| ports.contains(*port))
        .ok_or_else(|| format!("port {} is none that apps are given", message.port))?;
    check_count(
        "components",
        message.components.len(),
        1,
        bounds::COMPONENTS,
    )?;
    let limits = limits(message.limits.unwrap_or_default());
    let components: Vec<_> = message
        .components
        .into_iter()
        .map(component)
        .collect::<Result<_, _>>()?;
    let mut names = HashSet::new();
    if let Some(twice) = components
        .iter()
        .find(|component| !names.insert(&component.name))
    {
        return Err(format!("component `{}` is listed twice", twice.name));
    }
    check_count(
        "routes",
        components.iter().map(|c| c.routes.len()).sum(),
        0,
        bounds::ROUTES,
    )?;
    let (revision, generation) = (message.revision, message.generation);
    let listen_address = None;
    Ok(Assignment {
        app,
        revision,
        generation,
        port,
        listen_address,
        components,
        limits,
        role,
    })
}

fn role(role: v1::assignment::Role) -> Result<Role, String> {
    match role {
        v1::assignment::Role::Serve => Ok(Role::Serve),
        v1::assignment::Role::Drain => Ok(Role::Drain),
        v1::assignment::Role::Standby => Ok(Role::Standby),
        v1::assignment::Role::Unspecified => {
            Err("the role is none that this version knows; upgrade the runtime".to_owned())
        }
    }
}

fn component(message: v1::Component) -> Result<ComponentSpec, String> {
    check_length("component name", &message.name, 1, bounds::NAME_BYTES)?;
    let name = message.name;
    if name.chars().any(char::is_control) {
        return Err("a component name holds a control character".into());
    }
    let of = |what: String| format!("component `{name}`: {what}");
    let digest = message
        .digest
        .parse()
        .map_err(|error| of(format!("digest {error}")))?;
    let routes = message
        .routes
        .iter()
        .map(|route| route.parse().map_err(|error| of(format!("{error}"))))
        .collect::<Result<_, _>>()?;
    let env = environment(message.env.into_iter().collect()).map_err(of)?;
    let variables = variables(message.variables).map_err(of)?;
    check_count("stores", message.stores.len(), 0, bounds::STORES).map_err(of)?;
    let stores: Vec<StoreBinding> = message
        .stores
        .into_iter()
        .map(store)
        .collect::<Result<_, _>>()
        .map_err(of)?;
    Ok(ComponentSpec {
        name,
        digest,
        routes,
        env,
        variables,
        stores,
    })
}

fn environment(mut env: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    env.sort_unstable();
    check_count("env", env.len(), 0, bounds::ENV_ENTRIES)?;
    check_count(
        "bytes of env",
        env.iter().map(|(n, v)| n.len() + v.len()).sum(),
        0,
        bounds::ENV_BYTES,
    )?;
    for (name, value) in &env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let name = cut(name, 64);
            return Err(format!(
                "env `{name}`: a name has a character, none of them is `=`, and no NUL is allowed"
            ));
        }
    }
    Ok(env)
}

/// As many, and as large, as an environment may be.
fn variables(variables: HashMap<String, String>) -> Result<Variables, String> {
    let bytes = variables.iter().map(|(n, v)| n.len() + v.len()).sum();
    check_count("variables", variables.len(), 0, bounds::ENV_ENTRIES)?;
    check_count("bytes of variables", bytes, 0, bounds::ENV_BYTES)?;
    for name in variables.keys() {
        check_length("variable name", name, 1, bounds::NAME_BYTES)?;
    }
    Ok(variables.into_iter().collect())
}

fn store(message: v1::StoreBinding) -> Result<StoreBinding, String> {
    check_length("store label", &message.label, 1, bounds::NAME_BYTES)?;
    let label = message.label;
    let interface = Interface::parse(&message.interface).ok_or_else(|| {
        let interface = cut(&message.interface, 64);
        format!("store `{label}`: interface `{interface}` is none that this version serves")
    })?;
    let id = message
        .store_id
        .parse()
        .map_err(|error| format!("store `{label}`: {error}"))?;
    let class = match message.class.as_str() {
        "" => shoal_crds::EMBEDDED_CLASS.to_owned(),
        class => {
            check_name("store class", class)?;
            message.class
        }
    };
    Ok(StoreBinding {
        label,
        interface,
        id,
        class,
        nodes: message.nodes.max(1),
    })
}

/// More than the largest counts as the largest.
fn limits(message: v1::Limits) -> Limits {
    let default = Limits::default();
    let time = |milliseconds: u64, default: Duration| match milliseconds {
        0 => default,
        given => Duration::from_millis(given.min(bounds::MILLISECONDS)),
    };
    let concurrency = match message.concurrency {
        0 => default.concurrency,
        given => given.min(bounds::CONCURRENCY),
    };
    Limits {
        memory: given(message.memory_bytes, default.memory).min(bounds::MEMORY),
        instance_memory: given(message.instance_memory_bytes, default.instance_memory)
            .min(bounds::INSTANCE_MEMORY),
        concurrency,
        request_body: given(message.request_body_bytes, default.request_body)
            .min(bounds::REQUEST_BODY),
        response_start: time(message.response_start_ms, default.response_start),
        idle: time(message.idle_ms, default.idle),
        cpu: match message.cpu_millis {
            0 => default.cpu,
            given => given.min(bounds::CPU_MILLIS),
        },
    }
}

/// No limit can be 0: an operator that does not know of one says nothing.
fn given(value: u64, default: u64) -> u64 {
    match value {
        0 => default,
        value => value,
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    check_length(what, name, 1, bounds::NAME)?;
    if name
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '/')
    {
        return Err(format!(
            "{what} `{}` holds a space, `/` or control character",
            cut(name, 64)
        ));
    }
    Ok(())
}

fn check_length(what: &str, text: &str, least: usize, most: usize) -> Result<(), String> {
    if (least..=most).contains(&text.len()) {
        return Ok(());
    }
    Err(format!(
        "{what} is {} bytes long; allowed are {least} to {most}",
        text.len()
    ))
}

fn check_count(what: &str, count: usize, least: usize, most: usize) -> Result<(), String> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(format!("{count} {what}; allowed are {least} to {most}"))
}

#[cfg(test)]
mod tests;
