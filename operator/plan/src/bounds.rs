//! What one app may hold, by the bounds of artifacts, of which none is wider than what a runtime takes. What is put
//! together of several images, or comes from the App itself, was not held against them yet.

use std::collections::{BTreeMap, HashSet};

use shoal_artifact::{
    Route, RouteTable,
    limits::{self, COMPONENT_NAME_BYTES, COMPONENTS, ENV_BYTES, ENV_NAME_BYTES},
};
use shoal_crds::Reason;

use crate::{
    Label,
    revision::{ContentComponent, Fault},
};

/// Whether the runtimes take an app of these components.
///
/// # Errors
/// Reason and message of `Built`.
pub(crate) fn check(components: &[ContentComponent]) -> Result<(), Fault> {
    if components.len() > COMPONENTS {
        let count = components.len();
        return Err(too_much(format!(
            "the app has {count} components; at most {COMPONENTS} are served"
        )));
    }
    let mut names = HashSet::new();
    for component in components {
        check_name(&component.name)?;
        if !names.insert(&component.name) {
            return Err(too_much(format!(
                "component `{}` is there twice",
                component.name
            )));
        }
        let labels: HashSet<&Label> = component.labels.iter().collect();
        if labels.len() > limits::LABELS {
            return Err(too_much(format!(
                "component `{}` opens {} stores; at most {} are served",
                component.name,
                labels.len(),
                limits::LABELS
            )));
        }
    }
    check_routes(components)
}

/// Whether the runtimes take this environment of a component.
///
/// # Errors
/// Reason and message of `Built`.
pub(crate) fn check_env(component: &str, env: &BTreeMap<String, String>) -> Result<(), Fault> {
    let bytes: usize = env
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let problem = if env.len() > limits::ENV_ENTRIES {
        format!(
            "its environment has {} variables; at most {} are served",
            env.len(),
            limits::ENV_ENTRIES
        )
    } else if bytes > ENV_BYTES {
        format!("its environment has {bytes} bytes; at most {ENV_BYTES} are served")
    } else if let Some(name) = env.iter().find_map(|(name, value)| odd(name, value)) {
        let name = name.chars().take(64).collect::<String>();
        format!(
            "variable `{name}`: a name has 1 to {ENV_NAME_BYTES} bytes and no `=`, and there is no NUL"
        )
    } else {
        return Ok(());
    };
    Err(too_much(format!("component `{component}`: {problem}")))
}

fn odd<'a>(name: &'a str, value: &str) -> Option<&'a str> {
    let fits = (1..=ENV_NAME_BYTES).contains(&name.len());
    (!fits || name.contains(['=', '\0']) || value.contains('\0')).then_some(name)
}

fn too_much(message: String) -> Fault {
    (Reason::UnsupportedArtifact, message)
}

fn check_name(name: &str) -> Result<(), Fault> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '/';
    if (1..=COMPONENT_NAME_BYTES).contains(&name.len()) && !name.contains(odd) {
        return Ok(());
    }
    let shown = name.chars().take(64).collect::<String>();
    Err(too_much(format!(
        "component `{shown}`: a name has 1 to {COMPONENT_NAME_BYTES} bytes, and no space, `/` or control character"
    )))
}

fn check_routes(components: &[ContentComponent]) -> Result<(), Fault> {
    let mut routes = Vec::new();
    for component in components {
        for route in &component.routes {
            let route: Route = route.parse().map_err(|error| {
                let text = format!("component `{}`: {error}", component.name);
                (Reason::InvalidRoute, text)
            })?;
            routes.push((route, component.name.as_str()));
        }
    }
    if routes.len() > limits::ROUTES {
        let text = format!(
            "the app has {} routes; at most {} are served",
            routes.len(),
            limits::ROUTES
        );
        return Err((Reason::InvalidRoute, text));
    }
    let names: Vec<&str> = routes.iter().map(|(_, name)| *name).collect();
    let table = RouteTable::new(routes);
    table.map(|_| ()).map_err(|twice| {
        let later = names.get(twice.positions.1).copied().unwrap_or_default();
        let text = format!("component `{later}`: {twice}");
        (Reason::InvalidRoute, text)
    })
}
