//! Environment and variables without a cluster.

use std::{collections::BTreeMap, fmt};

use shoal_artifact::variables::{self, Declared};
use shoal_crds::{
    SourceKind,
    values::{self, Source, Sources},
};
use shoal_protocol::v1;

use super::file::Entry;
use crate::assignment::Variables;

/// Names and values.
type Values = BTreeMap<String, String>;

/// What the apps' environment and variables may be taken from, besides the Apps themselves.
#[derive(Default)]
pub struct Configuration {
    objects: BTreeMap<String, Objects>,
    variables: Values,
}

/// Secrets and ConfigMaps of one namespace.
#[derive(Default)]
struct Objects(BTreeMap<(SourceKind, String), Data>);

/// Values by key, decoded.
type Data = BTreeMap<String, Vec<u8>>;

/// Counts, never a value.
impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects: usize = self.objects.values().map(|objects| objects.0.len()).sum();
        f.debug_struct("Configuration")
            .field("objects", &objects)
            .field("variables", &self.variables.keys())
            .finish()
    }
}

impl Configuration {
    /// Adds a Secret or a ConfigMap; one of the same name is replaced. `data` is decoded.
    pub fn add_object(
        &mut self,
        kind: SourceKind,
        namespace: &str,
        name: &str,
        data: BTreeMap<String, Vec<u8>>,
    ) {
        let objects = self.objects.entry(namespace.to_owned()).or_default();
        objects.0.insert((kind, name.to_owned()), data);
    }

    /// Gives all apps a variable, whatever they say of it themselves.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }
}

impl Sources for &Objects {
    fn find(&self, kind: SourceKind, name: &str) -> Source<'_> {
        match self.0.get(&(kind, name.to_owned())) {
            Some(data) => Source::Found(data),
            None => Source::Missing,
        }
    }
}

/// Environment and variables of a component of `entry`, whose image declares `declared`.
///
/// # Errors
/// A value is not there; the message names the component.
pub(super) fn of_component(
    entry: &Entry,
    described: &v1::ComponentDescription,
    declared: &Declared,
    configuration: &Configuration,
) -> Result<(Vec<(String, String)>, Variables), String> {
    let none = Objects::default();
    let objects = configuration.objects.get(&entry.namespace).unwrap_or(&none);
    let (spec, name) = (&entry.spec, described.name.as_str());
    let image: Values = described.env.clone().into_iter().collect();
    let env = values::environment(spec, name, &image, &objects).map_err(|lack| lack.to_string())?;
    let mut given = values::variables(spec, name, &objects).map_err(|lack| lack.to_string())?;
    given.extend(configuration.variables.clone());
    let templates: Values = described.variables.clone().into_iter().collect();
    let variables = variables::resolve(declared, &templates, &given)
        .map_err(|unresolved| format!("component `{name}`: {unresolved}"))?;
    Ok((env.into_iter().collect(), variables.into_iter().collect()))
}
