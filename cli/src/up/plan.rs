//! What the node is told to run, from an App and what its images hold. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_artifact::RouteTable;
use shoal_builder::{ComponentDescription, Description};
use shoal_crds::{AppSpec, EnvVar, Limits};
use shoal_runtime::{AppRef, Assignment, ComponentSpec, Role, StoreBinding};
use shoal_stores::{StoreId, ValueLimits};

use super::input::LocalApp;

/// The label that is answered where nothing else is declared.
const DEFAULT_LABEL: &str = "default";
/// As in a cluster, where no class says otherwise.
const VALUE_LIMITS: ValueLimits = ValueLimits {
    key_bytes: 1024,
    value_bytes: 1 << 20,
};

/// The assignment of one App. `descriptions` are of its images, in order; `store_ids` gives the ids of
/// Stores that are named `namespace/app/label`.
///
/// # Errors
/// The App and its images do not fit; the message names the component.
pub fn assignment(
    app: &LocalApp,
    descriptions: &[Description],
    extra_env: &[(String, String)],
    address: SocketAddr,
    store_ids: impl FnOnce(&[String]) -> Result<BTreeMap<String, StoreId>>,
) -> Result<Assignment> {
    let described = described(app, descriptions)?;
    let labels: BTreeSet<&String> = described
        .iter()
        .flat_map(|component| &component.key_value_stores)
        .collect();
    let name_of = |label: &str| format!("{}/{}/{label}", app.namespace, app.name);
    let names: Vec<String> = labels.iter().map(|label| name_of(label)).collect();
    let ids = store_ids(&names)?;

    let mut components = Vec::new();
    for component in described {
        let env = env(&app.spec, &component, extra_env);
        let mut stores = Vec::new();
        for label in &component.key_value_stores {
            ensure!(
                label == DEFAULT_LABEL,
                "component `{}` opens the store `{label}`: only the label `{DEFAULT_LABEL}` has a store here",
                component.name
            );
            let id = *ids.get(&name_of(label)).context("a store without an id")?;
            stores.push(StoreBinding {
                label: label.clone(),
                id,
                limits: VALUE_LIMITS,
            });
        }
        let ComponentDescription {
            name,
            digest,
            routes,
            ..
        } = component;
        components.push(ComponentSpec {
            name,
            digest,
            routes,
            env,
            stores,
        });
    }
    distinct_routes(&components)?;
    Ok(Assignment {
        app: AppRef {
            namespace: app.namespace.clone(),
            name: app.name.clone(),
            uid: String::new(),
        },
        // Nothing changes while it runs: one revision, one generation.
        revision: "local".to_owned(),
        generation: "local".to_owned(),
        port: address.port(),
        listen_address: Some(address.ip()),
        components,
        limits: Limits::effective(app.spec.limits.as_ref()).into(),
        role: Role::Serve,
    })
}

/// The components with the names and routes that the App gives them.
fn described(app: &LocalApp, descriptions: &[Description]) -> Result<Vec<ComponentDescription>> {
    let Some(components) = &app.spec.components else {
        let mut all: Vec<ComponentDescription> = descriptions
            .iter()
            .flat_map(|description| description.components.clone())
            .collect();
        for component in all.iter_mut().filter(|component| component.name.is_empty()) {
            component.name.clone_from(&app.name);
        }
        return Ok(all);
    };
    let mut described = Vec::new();
    for (component, description) in components.iter().zip(descriptions) {
        let [only] = description.components.as_slice() else {
            bail!(
                "component `{}`: `{}` holds {} components; an image named in `components` must hold one",
                component.name,
                component.image,
                description.components.len()
            );
        };
        let routes = component.routes.iter().map(|route| {
            route
                .parse()
                .with_context(|| format!("component `{}`: route `{route}`", component.name))
        });
        let routes = routes.collect::<Result<_>>()?;
        described.push(ComponentDescription {
            name: component.name.clone(),
            routes,
            ..only.clone()
        });
    }
    Ok(described)
}

/// The App's environment in place of the image's, and what was asked for on the command line on top.
fn env(
    spec: &AppSpec,
    component: &ComponentDescription,
    extra: &[(String, String)],
) -> Vec<(String, String)> {
    let own = spec
        .components
        .iter()
        .flatten()
        .find(|own| own.name == component.name);
    let declared = own.and_then(|own| own.env.as_ref()).or(spec.env.as_ref());
    let pair = |variable: &EnvVar| (variable.name.clone(), variable.value.clone());
    let mut env: BTreeMap<String, String> = match declared {
        Some(declared) => declared.iter().map(pair).collect(),
        None => component.env.clone(),
    };
    env.extend(extra.iter().cloned());
    env.into_iter().collect()
}

/// Two routes that match the same paths could not be told apart.
fn distinct_routes(components: &[ComponentSpec]) -> Result<()> {
    let routes = components.iter().flat_map(|component| {
        component
            .routes
            .iter()
            .map(|route| (route.clone(), &component.name))
    });
    RouteTable::new(routes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(name: &str, label: Option<&str>) -> Description {
        Description {
            components: vec![ComponentDescription {
                name: name.into(),
                digest: shoal_runtime::Digest::of(name.as_bytes()),
                routes: vec!["/...".parse().unwrap()],
                env: [("FROM".to_owned(), "image".to_owned())].into(),
                key_value_stores: label.into_iter().map(str::to_owned).collect(),
                imports: Vec::new(),
            }],
        }
    }

    fn app(spec: &str) -> LocalApp {
        let spec = shoal_crds::yaml::from_str(spec).unwrap();
        LocalApp {
            namespace: "shop".into(),
            name: "cart".into(),
            spec,
        }
    }

    fn plan(
        app: &LocalApp,
        descriptions: &[Description],
        env: &[(String, String)],
    ) -> Result<Assignment> {
        assignment(
            app,
            descriptions,
            env,
            "127.0.0.1:3000".parse().unwrap(),
            |names| {
                Ok(names
                    .iter()
                    .map(|name| (name.clone(), StoreId::random()))
                    .collect())
            },
        )
    }

    #[test]
    fn a_nameless_component_is_called_as_its_app_and_gets_the_default_store() {
        let assignment =
            plan(&app("{image: a}"), &[description("", Some("default"))], &[]).unwrap();
        let component = &assignment.components[0];
        assert_eq!(
            (component.name.as_str(), component.stores.len()),
            ("cart", 1)
        );
        assert_eq!(component.env, [("FROM".to_owned(), "image".to_owned())]);
        assert_eq!(assignment.port, 3000);
    }

    #[test]
    fn environment_of_the_app_replaces_the_image_s_and_the_command_line_adds_to_it() {
        let app = app("{image: a, env: [{name: A, value: app}, {name: B, value: app}]}");
        let extra = [("B".to_owned(), "line".to_owned())];
        let assignment = plan(&app, &[description("", None)], &extra).unwrap();
        let wanted = [("A", "app"), ("B", "line")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(assignment.components[0].env, wanted);
    }

    #[test]
    fn components_take_names_and_routes_from_the_manifest() {
        let app = app(
            "{components: [{name: api, image: a, routes: [/api/...]}, {name: page, image: b, routes: [/...]}]}",
        );
        let assignment =
            plan(&app, &[description("x", None), description("y", None)], &[]).unwrap();
        let names: Vec<&str> = assignment
            .components
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        assert_eq!(names, ["api", "page"]);
        assert_eq!(assignment.components[0].routes[0].as_str(), "/api/...");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = plan(&app("{image: a}"), &[description("", Some("other"))], &[]).unwrap_err();
        assert!(error.to_string().contains("`other`"), "{error}");
        let twice =
            "{components: [{name: a, image: a, routes: [/x]}, {name: b, image: b, routes: [/x]}]}";
        let error = plan(
            &app(twice),
            &[description("", None), description("", None)],
            &[],
        )
        .unwrap_err();
        assert!(error.to_string().contains("`/x`"), "{error}");
        let mut two = description("", None);
        two.components.extend(description("more", None).components);
        let app = app("{components: [{name: a, image: a, routes: [/x]}]}");
        assert!(
            plan(&app, &[two], &[])
                .unwrap_err()
                .to_string()
                .contains("2 components")
        );
    }
}
