//! From Apps to what the node is to serve: resolved, built, bound.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, anyhow};
use shoal_builder::serve::description_message;
use shoal_builder::{BuilderHandle, Source};
use shoal_engine::EngineKey;
use shoal_protocol::v1;
use shoal_runtime::Assignment;
use shoal_runtime::local::{self, Configuration, Entry};

use super::input::Input;
use super::stores::Stores;
use super::{Arguments, progress};
use crate::docker_config;

/// Builds every App and gives each its port and its stores.
///
/// # Errors
/// The first App that does not run, and why.
pub async fn all(
    builder: &BuilderHandle,
    stores: &mut Stores<'_>,
    input: &Input,
    arguments: &Arguments,
    engine: &EngineKey,
) -> Result<Vec<Assignment>> {
    let configuration = configuration(input, arguments);
    let mut assignments = Vec::new();
    for (index, app) in input.apps.iter().enumerate() {
        let named = || format!("app {}", app.name);
        let address = address(arguments.listen, index)
            .with_context(|| format!("there is no port left for app {}", app.name))?;
        let work = descriptions(builder, app, engine);
        let descriptions = progress::shown(&format!("Building {}", app.name), work)
            .await
            .with_context(named)?;
        let entry = Entry {
            port: address.port(),
            ..app.clone()
        };
        let bind = |label: &str, interface| stores.bind(&entry, label, interface);
        let ip = Some(address.ip());
        let assignment = local::assignment(&entry, descriptions, ip, &configuration, bind);
        let mut assignment = assignment.map_err(anyhow::Error::msg).with_context(named)?;
        for component in &mut assignment.components {
            component.env = with(std::mem::take(&mut component.env), &arguments.env);
        }
        assignments.push(assignment);
    }
    stores.bind_unlisted(&input.apps, &mut assignments)?;
    Ok(assignments)
}

/// Secrets and ConfigMaps of the manifest, and what was given on the command line.
fn configuration(input: &Input, arguments: &Arguments) -> Configuration {
    let mut configuration = Configuration::default();
    for object in &input.objects {
        let data = object.data.clone();
        configuration.add_object(object.kind, &object.namespace, &object.name, data);
    }
    for (name, value) in &arguments.variables {
        configuration.set_variable(name, value);
    }
    configuration
}

/// `env` and, over it, what was asked for on the command line.
fn with(env: Vec<(String, String)>, extra: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = env.into_iter().collect();
    all.extend(extra.iter().cloned());
    all.into_iter().collect()
}

/// What each image of an App holds, compiled.
async fn descriptions(
    builder: &BuilderHandle,
    app: &Entry,
    engine: &EngineKey,
) -> Result<Vec<v1::Description>> {
    let components = app
        .spec
        .components
        .iter()
        .flatten()
        .map(|component| &component.image);
    let mut descriptions = Vec::new();
    for image in app.spec.image.iter().chain(components) {
        let source = source(image)?;
        let refused = |refusal: shoal_artifact::Refusal| anyhow!("{}", refusal.message);
        let digest = builder.resolve(&source).await.map_err(refused)?;
        let built = builder
            .build(&source, &digest, std::slice::from_ref(engine))
            .await;
        descriptions.push(description_message(built.map_err(refused)?));
    }
    Ok(descriptions)
}

/// An image with this user's own credentials. A registry on this machine is spoken to in plain HTTP, as
/// other container tools do.
fn source(image: &str) -> Result<Source> {
    if image.starts_with("file:") {
        return Ok(Source::public(image));
    }
    let reference: oci_client::Reference = image
        .parse()
        .with_context(|| format!("`{image}` is no image reference"))?;
    let registry = reference.registry();
    let local = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|host| registry == *host || registry.starts_with(&format!("{host}:")));
    // Most images may be pulled by anybody: credentials that cannot be used are not the end.
    let secret = docker_config::pull_secret(registry).unwrap_or_else(|error| {
        eprintln!("pulling without credentials: {error:#}");
        None
    });
    Ok(Source {
        pull_secrets: secret.into_iter().collect(),
        insecure: local.then(|| registry.to_owned()).into_iter().collect(),
        ..Source::public(image)
    })
}

/// The address of the app of that index. Port 0 is one that is free, for every app.
fn address(first: SocketAddr, index: usize) -> Option<SocketAddr> {
    let port = match first.port() {
        0 => 0,
        port => port.checked_add(u16::try_from(index).ok()?)?,
    };
    Some(SocketAddr::new(first.ip(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_get_consecutive_ports() {
        let first = "127.0.0.1:65534".parse().unwrap();
        assert_eq!(address(first, 1).unwrap().port(), 65535);
        assert_eq!(address(first, 2), None);
        assert_eq!(
            address("127.0.0.1:0".parse().unwrap(), 5).unwrap().port(),
            0
        );
    }

    #[test]
    fn the_command_line_adds_to_the_environment_and_wins() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let env = with(
            vec![pair("A", "app"), pair("B", "app")],
            &[pair("B", "line"), pair("C", "")],
        );
        assert_eq!(env, [pair("A", "app"), pair("B", "line"), pair("C", "")]);
    }

    #[test]
    fn only_a_registry_of_this_machine_is_spoken_to_in_plain_http() {
        assert_eq!(
            source("localhost:5000/a:1").unwrap().insecure,
            ["localhost:5000"]
        );
        assert!(source("localhost.example/a:1").unwrap().insecure.is_empty());
        assert!(source("file:/a.wasm").unwrap().pull_secrets.is_empty());
    }
}
