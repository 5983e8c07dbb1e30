//! From an entry of the file and what its images hold to an assignment. No I/O but the ids of Stores.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use sha2::{Digest as _, Sha256};
use shoal_artifact::variables::Declared;
use shoal_crds::{Interface, Limits};
use shoal_protocol::v1;

use super::{
    configuration::{self, Configuration},
    file::Entry,
};
use crate::assignment::{AppRef, Assignment, ComponentSpec, Role, StoreBinding, Variables};

/// The assignment of one app. `descriptions` are of its images, in order; `bind` says which Store a label
/// opens, or why there is none, `configuration` what Secrets and ConfigMaps hold.
///
/// # Errors
/// The entry and its images do not fit, or a label has no Store; the message names the component.
pub fn assignment(
    entry: &Entry,
    descriptions: Vec<v1::Description>,
    listen_address: Option<IpAddr>,
    configuration: &Configuration,
    mut bind: impl FnMut(&str, Interface) -> Result<StoreBinding, String>,
) -> Result<Assignment, String> {
    let mut components = Vec::new();
    for (described, declared) in described(entry, descriptions)? {
        let given = configuration::of_component(entry, &described, &declared, configuration)?;
        components.push(component(entry, described, given, &mut bind)?);
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
    // What is printed of an assignment has no values in it.
    let values: Vec<_> = assignment
        .components
        .iter()
        .map(|c| (&c.env, c.variables.iter().collect::<Vec<_>>()))
        .collect();
    assignment.generation = hash(&(&assignment, values));
    Ok(assignment)
}

fn hash(value: &impl std::fmt::Debug) -> String {
    let hash = hex::encode(Sha256::digest(format!("{value:?}")));
    hash.get(..16).unwrap_or_default().to_owned()
}

/// A component, and the variables that its image declares.
type Described = (v1::ComponentDescription, Arc<Declared>);

/// Components with the names and routes that the entry gives them.
fn described(entry: &Entry, descriptions: Vec<v1::Description>) -> Result<Vec<Described>, String> {
    let Some(listed) = &entry.spec.components else {
        let mut all = Vec::new();
        for description in descriptions {
            let declared = declared(description.variables);
            for mut component in description.components {
                if component.name.is_empty() {
                    component.name.clone_from(&entry.name);
                }
                all.push((component, Arc::clone(&declared)));
            }
        }
        return Ok(all);
    };
    let one = |(listed, description): (&shoal_crds::Component, v1::Description)| {
        let count = description.components.len();
        match <[_; 1]>::try_from(description.components) {
            Ok([only]) => Ok((
                v1::ComponentDescription {
                    name: listed.name.clone(),
                    routes: listed.routes.clone(),
                    ..only
                },
                declared(description.variables),
            )),
            Err(_) => Err(format!(
                "component `{}`: `{}` holds {count} components; an image named in `components` must \
                 hold one",
                listed.name, listed.image
            )),
        }
    };
    listed.iter().zip(descriptions).map(one).collect()
}

fn declared(variables: HashMap<String, v1::VariableDeclaration>) -> Arc<Declared> {
    let one = |(name, variable): (String, v1::VariableDeclaration)| (name, variable.default_value);
    Arc::new(variables.into_iter().map(one).collect())
}

/// Labels that the image says the component opens.
fn labels_of_image(described: &v1::ComponentDescription) -> Vec<(Interface, &str)> {
    let of_interfaces = [
        (Interface::KeyValue, &described.key_value_stores),
        (Interface::Sql, &described.sqlite_databases),
        (Interface::Blob, &described.blob_stores),
    ];
    of_interfaces
        .into_iter()
        .flat_map(|(interface, labels)| labels.iter().map(move |label| (interface, label.as_str())))
        .collect()
}

fn component(
    entry: &Entry,
    described: v1::ComponentDescription,
    (env, variables): (Vec<(String, String)>, Variables),
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
    let mut labels = labels_of_image(&described);
    // Labels that the App names are open to all of its components.
    for named in entry.spec.stores.iter().flatten() {
        let label = (named.interface, named.label.as_str());
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let stores = labels
        .into_iter()
        .map(|(interface, label)| {
            bind(label, interface)
                .map_err(|problem| of(format!("it opens the store `{label}`: {problem}")))
        })
        .collect::<Result<_, _>>()?;
    Ok(ComponentSpec {
        name: described.name,
        digest,
        routes,
        env,
        variables,
        stores,
    })
}

#[cfg(test)]
mod tests {
    use shoal_crds::SourceKind;

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
                ..v1::ComponentDescription::default()
            }],
            ..v1::Description::default()
        }
    }

    fn configuration() -> Configuration {
        let mut configuration = Configuration::default();
        let data = [("password".to_owned(), b"pw".to_vec())];
        configuration.add_object(SourceKind::Secret, "a", "db", data.into());
        configuration.set_variable("line", "over all");
        configuration
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
        assignment(&entry(spec), descriptions, None, &configuration(), bind)
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
    fn variables_come_from_the_app_from_objects_beside_it_and_from_the_command_line() {
        let from = "valueFrom: {secretKeyRef: {name: db, key: password}}";
        let spec = format!(
            "{{image: x, variables: [{{name: key, {from}}}, {{name: line, value: app}}], \
             env: [{{name: KEY, {from}}}]}}"
        );
        let mut image = description("c");
        let template = ("url".to_owned(), "db://{{ key }}/{{ host }}".to_owned());
        image.components[0].variables = [template].into();
        let host = v1::VariableDeclaration {
            default_value: Some("h".into()),
        };
        image.variables = [
            ("key".to_owned(), v1::VariableDeclaration::default()),
            ("host".to_owned(), host),
        ]
        .into();
        let planned = plan(&spec, vec![image.clone()]).unwrap();
        let component = &planned.components[0];
        let variables: Vec<_> = component.variables.iter().collect();
        assert_eq!(variables, [("line", "over all"), ("url", "db://pw/h")]);
        assert_eq!(component.env, [("KEY".to_owned(), "pw".to_owned())]);

        let other = plan(&spec.replace("KEY", "YEK"), vec![image.clone()]).unwrap();
        assert_eq!(other.revision, planned.revision);
        assert_ne!(other.generation, planned.generation);
        let error = plan("{image: x}", vec![image.clone()]).unwrap_err();
        assert!(error.contains("`c`") && error.contains("`key`"), "{error}");
        let error = plan(&spec.replace("db,", "no,"), vec![image]).unwrap_err();
        assert!(error.contains("Secret `no`"), "{error}");
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
