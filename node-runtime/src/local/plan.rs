//! From an entry of the file and what its images hold to an assignment. No I/O but the ids of Stores.

use std::{collections::BTreeMap, net::IpAddr};

use sha2::{Digest as _, Sha256};
use shoal_crds::{EnvVar, Interface, Limits};
use shoal_protocol::v1;

use super::file::Entry;
use crate::assignment::{AppRef, Assignment, ComponentSpec, Role, StoreBinding};

/// The assignment of one app. `descriptions` are of its images, in order; `bind` says which Store a label
/// opens, or why there is none.
///
/// # Errors
/// The entry and its images do not fit, or a label has no Store; the message names the component.
pub fn assignment(
    entry: &Entry,
    descriptions: Vec<v1::Description>,
    listen_address: Option<IpAddr>,
    mut bind: impl FnMut(&str, Interface) -> Result<StoreBinding, String>,
) -> Result<Assignment, String> {
    let mut components = Vec::new();
    for described in described(entry, descriptions)? {
        components.push(component(entry, described, &mut bind)?);
    }
    if components.is_empty() {
        return Err("its image holds no component".into());
    }
    let code: Vec<_> = components
        .iter()
        .map(|c| (&c.name, &c.digest, &c.routes))
        .collect();
    let mut assignment = Assignment {
        revision: hash(&code),
        generation: String::new(),
        app: AppRef {
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            uid: String::new(),
        },
        port: entry.port,
        listen_address,
        components,
        limits: Limits::effective(entry.spec.limits.as_ref()).into(),
        role: Role::Serve,
    };
    assignment.generation = hash(&assignment);
    Ok(assignment)
}

fn hash(value: &impl std::fmt::Debug) -> String {
    let hash = hex::encode(Sha256::digest(format!("{value:?}")));
    hash.get(..16).unwrap_or_default().to_owned()
}

/// Components with the names and routes that the entry gives them.
fn described(
    entry: &Entry,
    descriptions: Vec<v1::Description>,
) -> Result<Vec<v1::ComponentDescription>, String> {
    let Some(listed) = &entry.spec.components else {
        let mut all: Vec<_> = descriptions
            .into_iter()
            .flat_map(|d| d.components)
            .collect();
        for component in all.iter_mut().filter(|component| component.name.is_empty()) {
            component.name.clone_from(&entry.name);
        }
        return Ok(all);
    };
    let one = |(listed, description): (&shoal_crds::Component, v1::Description)| {
        let count = description.components.len();
        match <[_; 1]>::try_from(description.components) {
            Ok([only]) => Ok(v1::ComponentDescription {
                name: listed.name.clone(),
                routes: listed.routes.clone(),
                ..only
            }),
            Err(_) => Err(format!(
                "component `{}`: `{}` holds {count} components; an image named in `components` must \
                 hold one",
                listed.name, listed.image
            )),
        }
    };
    listed.iter().zip(descriptions).map(one).collect()
}

fn component(
    entry: &Entry,
    described: v1::ComponentDescription,
    bind: &mut impl FnMut(&str, Interface) -> Result<StoreBinding, String>,
) -> Result<ComponentSpec, String> {
    let name = described.name.clone();
    let of = |problem: String| format!("component `{name}`: {problem}");
    let digest = described
        .digest
        .parse()
        .map_err(|error| of(format!("{error}")))?;
    let routes = described
        .routes
        .iter()
        .map(|route| route.parse::<shoal_artifact::Route>());
    let routes = routes
        .collect::<Result<_, _>>()
        .map_err(|error| of(error.to_string()))?;
    let labels = [
        (Interface::KeyValue, &described.key_value_stores),
        (Interface::Sql, &described.sqlite_databases),
    ];
    let labels = labels
        .into_iter()
        .flat_map(|(interface, labels)| labels.iter().map(move |label| (interface, label)));
    let stores = labels
        .map(|(interface, label)| {
            bind(label, interface)
                .map_err(|problem| of(format!("it opens the store `{label}`: {problem}")))
        })
        .collect::<Result<_, _>>()?;
    let env = environment(entry, &described);
    Ok(ComponentSpec {
        name: described.name,
        digest,
        routes,
        env,
        stores,
    })
}

/// The component's own environment, else the app's, else the image's.
fn environment(entry: &Entry, described: &v1::ComponentDescription) -> Vec<(String, String)> {
    let listed = entry.spec.components.iter().flatten();
    let own = listed
        .filter(|own| own.name == described.name)
        .find_map(|own| own.env.as_ref());
    let pair = |variable: &EnvVar| (variable.name.clone(), variable.value.clone());
    let env: BTreeMap<String, String> = match own.or(entry.spec.env.as_ref()) {
        Some(declared) => declared.iter().map(pair).collect(),
        None => described.env.clone().into_iter().collect(),
    };
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(spec: &str) -> Entry {
        let text = format!("{{namespace: a, name: b, port: 8080, spec: {spec}}}");
        shoal_crds::yaml::from_str(&text).unwrap()
    }

    fn description(name: &str) -> v1::Description {
        v1::Description {
            components: vec![v1::ComponentDescription {
                name: name.into(),
                digest: format!("sha256:{}", "0".repeat(64)),
                routes: vec!["/...".into()],
                env: [("FROM".to_owned(), "image".to_owned())].into(),
                key_value_stores: vec!["default".into()],
                sqlite_databases: vec!["default".into()],
                imports: Vec::new(),
            }],
        }
    }

    fn plan(spec: &str, descriptions: Vec<v1::Description>) -> Result<Assignment, String> {
        let id = "11111111-1111-4111-8111-111111111111".parse().unwrap();
        let bind = |label: &str, interface| match label {
            "default" => Ok(StoreBinding {
                label: label.into(),
                interface,
                id,
                class: "embedded".into(),
                nodes: 1,
            }),
            _ => Err("there is none".into()),
        };
        assignment(&entry(spec), descriptions, None, bind)
    }

    #[test]
    fn an_image_gives_names_routes_and_environment_unless_the_app_does() {
        let plain = plan("{image: x}", vec![description("")]).unwrap();
        assert_eq!(plain.components[0].name, "b");
        assert_eq!(
            plain.components[0].env,
            [("FROM".to_owned(), "image".to_owned())]
        );
        let listed =
            "{components: [{name: c, image: x, routes: ['/c'], env: [{name: A, value: '1'}]}]}";
        let listed = plan(listed, vec![description("")]).unwrap();
        assert_eq!(listed.components[0].name, "c");
        assert_eq!(listed.components[0].routes[0].to_string(), "/c");
        assert_eq!(listed.components[0].env, [("A".to_owned(), "1".to_owned())]);
        assert_ne!(listed.revision, plain.revision);
    }

    #[test]
    fn limits_change_the_generation_and_not_the_revision() {
        let before = plan("{image: x}", vec![description("")]).unwrap();
        let after = plan(
            "{image: x, limits: {concurrency: 1}}",
            vec![description("")],
        )
        .unwrap();
        assert_eq!(before.revision, after.revision);
        assert_ne!(before.generation, after.generation);
    }

    #[test]
    fn a_label_without_a_store_is_named() {
        let mut other = description("c");
        other.components[0].key_value_stores = vec!["cache".into()];
        let error = plan("{image: x}", vec![other]).unwrap_err();
        assert!(
            error.contains("`c`") && error.contains("`cache`"),
            "{error}"
        );
    }
}
