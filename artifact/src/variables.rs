//! Variables of an app: what it declares, the templates of its components, and what they give.
//!
//! An app declares variables, some with a default. A component has variables of its own, whose values
//! are templates that name the app's: `{{ name }}`. Guests see those of their component alone.
//! <https://spinframework.dev/v3/variables>

use std::collections::{BTreeMap, BTreeSet};

use crate::{Reason, Refusal, limits};

/// Variables that an app declares, each with its default; without one a value is required.
pub type Declared = BTreeMap<String, Option<String>>;

/// What guests may read, by name.
pub type Values = BTreeMap<String, String>;

/// Text with names of variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{{` that is not closed.
    #[error("`{{{{` without `}}}}` after it")]
    Unclosed,
    /// A `}}` that closes nothing.
    #[error("`}}}}` without `{{{{` before it")]
    Unopened,
    /// What is in the braces is no name.
    #[error("`{{{{{0}}}}}` holds no name of a variable: {NAME_RULE}")]
    Name(String),
}

/// What [`is_name`] asks for.
pub const NAME_RULE: &str =
    "lower-case letters, digits and single `_` between them, beginning with a letter";

/// Why the variables of a component have no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// These are required, and nobody gave them a value.
    #[error("{}", missing(.0))]
    Missing(BTreeSet<String>),
    /// All together are too large.
    #[error("its variables are larger than {} KiB together", limits::ENV_BYTES >> 10)]
    TooLarge,
    /// The template of this variable cannot be read.
    #[error("its variable `{0}` has a template that is not valid: {1}")]
    Template(String, TemplateError),
}

fn missing(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [one] => format!("the app requires the variable {one}, which has no value"),
        _ => format!(
            "the app requires the variables {}, which have no value",
            names.join(", ")
        ),
    }
}

/// Whether Spin takes this as the name of a variable: see [`NAME_RULE`].
pub fn is_name(name: &str) -> bool {
    (1..=limits::ENV_NAME_BYTES).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Braces do not match, or hold no name.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            push_text(&mut parts, before)?;
            let (inside, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            let name = inside.trim();
            if !is_name(name) {
                return Err(TemplateError::Name(inside.chars().take(64).collect()));
            }
            parts.push(Part::Name(name.to_owned()));
            rest = after;
        }
        push_text(&mut parts, rest)?;
        Ok(Self(parts))
    }

    /// Names that stand in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Name(name) => Some(name.as_str()),
        })
    }

    /// The text with values in the place of names; `None`: a name has no value, or it is longer than
    /// `most` bytes.
    fn fill(&self, values: &BTreeMap<&str, &str>, most: usize) -> Option<String> {
        let mut filled = String::new();
        for part in &self.0 {
            let text = match part {
                Part::Text(text) => text.as_str(),
                Part::Name(name) => values.get(name.as_str())?,
            };
            if filled.len() + text.len() > most {
                return None;
            }
            filled.push_str(text);
        }
        Some(filled)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), TemplateError> {
    if text.contains("}}") {
        return Err(TemplateError::Unopened);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

/// What a component's guests may read. `declared` and `templates` are the artifact's, `given` is what
/// whoever runs the app says.
///
/// What is given under the name of a declared variable is its value. What is given under any other name
/// is read under that name, in place of a template of the same name.
///
/// # Errors
/// [`Unresolved`]
pub fn resolve(
    declared: &Declared,
    templates: &BTreeMap<String, String>,
    given: &Values,
) -> Result<Values, Unresolved> {
    let (mut values, mut missing) = (BTreeMap::new(), BTreeSet::new());
    for (name, default) in declared {
        match given.get(name).or(default.as_ref()) {
            Some(value) => {
                values.insert(name.as_str(), value.as_str());
            }
            None => {
                missing.insert(name.clone());
            }
        }
    }
    if !missing.is_empty() {
        return Err(Unresolved::Missing(missing));
    }
    let mut room = limits::ENV_BYTES;
    let mut take = |bytes: usize| {
        room = room.checked_sub(bytes).ok_or(Unresolved::TooLarge)?;
        Ok(room)
    };
    let mut resolved = Values::new();
    for (name, value) in given
        .iter()
        .filter(|(name, _)| !declared.contains_key(*name))
    {
        take(name.len() + value.len())?;
        resolved.insert(name.clone(), value.clone());
    }
    for (name, text) in templates {
        if resolved.contains_key(name) {
            continue;
        }
        let template =
            Template::parse(text).map_err(|error| Unresolved::Template(name.clone(), error))?;
        let undeclared = template.names().find(|name| !declared.contains_key(*name));
        if let Some(undeclared) = undeclared {
            return Err(Unresolved::Missing([undeclared.to_owned()].into()));
        }
        let room = take(name.len())?;
        let value = template.fill(&values, room).ok_or(Unresolved::TooLarge)?;
        take(value.len())?;
        resolved.insert(name.clone(), value);
    }
    Ok(resolved)
}

/// Checks what an app declares.
///
/// # Errors
/// A name is none, or there is more than is served.
pub(crate) fn check_declared(declared: &Declared) -> Result<(), Refusal> {
    if let Some(name) = declared.keys().find(|name| !is_name(name)) {
        return refuse(format!(
            "the app has a variable `{name}`: a name is of {NAME_RULE}"
        ));
    }
    let bytes = |(name, default): (&String, &Option<String>)| {
        name.len() + default.as_ref().map_or(0, String::len)
    };
    check_size("the app", declared.len(), declared.iter().map(bytes).sum())
}

/// Checks the templates of a component.
///
/// # Errors
/// A name or a template is not valid, a template names what the app does not declare, or there is more
/// than is served.
pub(crate) fn check_templates(
    subject: &str,
    templates: &BTreeMap<String, String>,
    declared: &Declared,
) -> Result<(), Refusal> {
    for (name, text) in templates {
        if !is_name(name) {
            return refuse(format!(
                "{subject} has a variable `{name}`: a name is of {NAME_RULE}"
            ));
        }
        let template = Template::parse(text);
        let template = match template {
            Ok(template) => template,
            Err(error) => return refuse(format!("{subject} has a variable `{name}`: {error}")),
        };
        let undeclared = template.names().find(|name| !declared.contains_key(*name));
        if let Some(undeclared) = undeclared {
            return refuse(format!(
                "{subject} has a variable `{name}`, whose template names `{undeclared}`, which the app \
                 does not declare"
            ));
        }
    }
    let bytes = templates.iter().map(|(name, text)| name.len() + text.len());
    check_size(subject, templates.len(), bytes.sum())
}

fn check_size(subject: &str, count: usize, bytes: usize) -> Result<(), Refusal> {
    if count > limits::ENV_ENTRIES {
        let bound = limits::ENV_ENTRIES;
        return refuse(format!(
            "{subject} has {count} variables; at most {bound} are served"
        ));
    }
    if bytes > limits::ENV_BYTES {
        let bound = limits::ENV_BYTES >> 10;
        return refuse(format!(
            "{subject} has variables of {} KiB; at most {bound} KiB are served",
            bytes.div_ceil(1024)
        ));
    }
    Ok(())
}

fn refuse(message: String) -> Result<(), Refusal> {
    Err(Refusal::new(Reason::UnsupportedArtifact, message))
}

#[cfg(test)]
mod tests;
