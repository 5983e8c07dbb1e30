//! From what an App says of environment and variables to their values: no I/O.
//!
//! The values of Secrets and ConfigMaps come from whoever reads them, as [`Sources`].

use std::collections::{BTreeMap, BTreeSet};

use crate::{AppSpec, Component, EnvFromSource, EnvVar, SourceKind, ValueSource, Variable};

/// Names and values.
pub type Values = BTreeMap<String, String>;

/// What is known of an object that values come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// It was not read yet.
    Unread,
    /// There is none.
    Missing,
    /// It cannot be read; with why.
    Unreadable(&'a str),
    /// Its `data`.
    Found(&'a BTreeMap<String, Vec<u8>>),
}

/// The objects of an App's namespace that values come from.
pub trait Sources {
    /// What is known of an object.
    fn find(&self, kind: SourceKind, name: &str) -> Source<'_>;
}

/// Why there is no value. The message names component, variable, object and key; never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// An object was not read yet.
    #[error("{0}")]
    Unread(String),
    /// An object or a key is not there.
    #[error("{0}")]
    NotFound(String),
    /// An object cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A value is no text.
    #[error("{0}")]
    Invalid(String),
}

/// Every object that an App takes values from.
pub fn referred(spec: &AppSpec) -> BTreeSet<(SourceKind, String)> {
    let components = || spec.components.iter().flatten();
    let env = spec
        .env
        .iter()
        .chain(components().filter_map(|c| c.env.as_ref()));
    let variables = spec
        .variables
        .iter()
        .chain(components().filter_map(|c| c.variables.as_ref()));
    let env_from = spec
        .env_from
        .iter()
        .chain(components().filter_map(|c| c.env_from.as_ref()));
    let values = env
        .flatten()
        .filter_map(|one| one.value_from.as_ref())
        .chain(
            variables
                .flatten()
                .filter_map(|one| one.value_from.as_ref()),
        )
        .filter_map(ValueSource::selected)
        .map(|(kind, selector)| (kind, selector.name.clone()));
    let whole = env_from
        .flatten()
        .filter_map(EnvFromSource::selected)
        .map(|(kind, selector)| (kind, selector.name.clone()));
    values.chain(whole).collect()
}

/// Environment of a component: `env` over `envFrom` over what its image declares (`image`), which counts
/// only where `env` is unset. What the component says for itself replaces what the App says for all.
///
/// # Errors
/// The first value that is not there.
pub fn environment(
    spec: &AppSpec,
    component: &str,
    image: &Values,
    sources: &impl Sources,
) -> Result<Values, Lack> {
    let own = own(spec, component);
    let env = own.and_then(|c| c.env.as_ref()).or(spec.env.as_ref());
    let env_from = own
        .and_then(|c| c.env_from.as_ref())
        .or(spec.env_from.as_ref());
    let looking = Looking { component, sources };
    let mut values = match env {
        None => image.clone(),
        Some(_) => Values::new(),
    };
    for from in env_from.into_iter().flatten() {
        looking.all_keys(from, &mut values)?;
    }
    for EnvVar {
        name,
        value,
        value_from,
    } in env.into_iter().flatten()
    {
        match value_from {
            None => {
                values.insert(name.clone(), value.clone().unwrap_or_default());
            }
            Some(from) => {
                values.extend(looking.key(name, from)?.map(|value| (name.clone(), value)))
            }
        }
    }
    Ok(values)
}

/// What an App gives a component as variables. What the component says for itself replaces what the App
/// says for all. An optional one that is not there is left out.
///
/// # Errors
/// The first value that is not there.
pub fn variables(spec: &AppSpec, component: &str, sources: &impl Sources) -> Result<Values, Lack> {
    let own = own(spec, component).and_then(|c| c.variables.as_ref());
    let looking = Looking { component, sources };
    let mut values = Values::new();
    for Variable {
        name,
        value,
        value_from,
    } in own.or(spec.variables.as_ref()).into_iter().flatten()
    {
        let value = match value_from {
            None => value.clone(),
            Some(from) => looking.key(name, from)?,
        };
        values.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(values)
}

fn own<'a>(spec: &'a AppSpec, component: &str) -> Option<&'a Component> {
    spec.components
        .iter()
        .flatten()
        .find(|c| c.name == component)
}

struct Looking<'a, S> {
    component: &'a str,
    sources: &'a S,
}

impl<S: Sources> Looking<'_, S> {
    /// The value that `name` gets from a key; `None`: it is optional and not there.
    fn key(&self, name: &str, from: &ValueSource) -> Result<Option<String>, Lack> {
        let what = format!("component `{}`: `{name}`", self.component);
        let Some((kind, selector)) = from.selected() else {
            return Err(Lack::Invalid(format!(
                "{what} has a `valueFrom` that names nothing"
            )));
        };
        let optional = selector.optional.unwrap_or_default();
        let Some(data) = self.data(&what, kind, &selector.name, optional)? else {
            return Ok(None);
        };
        match data.get(&selector.key) {
            Some(bytes) => text(&what, kind, &selector.name, &selector.key, bytes).map(Some),
            None if optional => Ok(None),
            None => Err(Lack::NotFound(format!(
                "{what} needs key `{}` of {kind} `{}`, which has no such key: add it, or say `optional: true`",
                selector.key, selector.name
            ))),
        }
    }

    fn all_keys(&self, from: &EnvFromSource, values: &mut Values) -> Result<(), Lack> {
        let what = format!("component `{}`: `envFrom`", self.component);
        let Some((kind, selector)) = from.selected() else {
            return Err(Lack::Invalid(format!(
                "{what} has an entry that names nothing"
            )));
        };
        let optional = selector.optional.unwrap_or_default();
        let data = self.data(&what, kind, &selector.name, optional)?;
        for (key, bytes) in data.into_iter().flatten() {
            let value = text(&what, kind, &selector.name, key, bytes)?;
            values.insert(format!("{}{key}", from.prefix), value);
        }
        Ok(())
    }

    fn data(
        &self,
        what: &str,
        kind: SourceKind,
        name: &str,
        optional: bool,
    ) -> Result<Option<&BTreeMap<String, Vec<u8>>>, Lack> {
        match self.sources.find(kind, name) {
            Source::Found(data) => Ok(Some(data)),
            Source::Missing if optional => Ok(None),
            Source::Missing => Err(Lack::NotFound(format!(
                "{what} needs {kind} `{name}`, which does not exist in this namespace: create it, or say \
                 `optional: true`"
            ))),
            Source::Unread => Err(Lack::Unread(format!("{kind} `{name}` is being read"))),
            Source::Unreadable(why) => Err(Lack::Unreadable(format!(
                "{what} needs {kind} `{name}`, which cannot be read: {why}"
            ))),
        }
    }
}

fn text(what: &str, kind: SourceKind, name: &str, key: &str, bytes: &[u8]) -> Result<String, Lack> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Lack::Invalid(format!(
            "{what} needs key `{key}` of {kind} `{name}`, which is no text in UTF-8"
        ))),
    }
}

#[cfg(test)]
mod tests;
