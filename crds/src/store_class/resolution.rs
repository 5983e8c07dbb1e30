//! Which class answers a label of an app that names none.

use std::collections::BTreeMap;

use super::StoreClassSpec;
use crate::{EMBEDDED_CLASS, Interface};

/// The label that every app may open, and that a default class answers unless it says otherwise.
pub(super) const DEFAULT_LABEL: &str = "default";
/// Of `labels`: any label.
const ANY_LABEL: &str = "*";

/// The class that answers a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultClass<'a> {
    /// This one.
    Class(&'a str),
    /// No class.
    None,
    /// These claim it with equal right; sorted, at least two.
    Tie(Vec<&'a str>),
}

/// How specific a claim is: the greater wins. A class for this namespace comes before one for all,
/// also where only the latter names the label: the platform team chose it for this namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    has_selector: bool,
    names_label: bool,
}

impl StoreClassSpec {
    /// Whether apps of a namespace with these labels may use the class.
    pub fn may_be_used_by(&self, namespace: &BTreeMap<String, String>) -> bool {
        let selector = self.namespace_selector.as_ref();
        selector.is_none_or(|selector| selector.matches(namespace))
    }

    /// How it claims this label as a default; `None`: not.
    fn claim(&self, label: &str, interface: Interface) -> Option<Rank> {
        if !self.default || self.interface != interface {
            return None;
        }
        let says = |wanted: &str| match &self.labels {
            Some(labels) => labels.iter().any(|label| label == wanted),
            None => wanted == DEFAULT_LABEL,
        };
        let names_label = says(label);
        (names_label || says(ANY_LABEL)).then_some(Rank {
            has_selector: self.namespace_selector.is_some(),
            names_label,
        })
    }

    /// A label that both this and another class would answer as defaults, with equal right, for
    /// apps of a namespace that both are for. `*`: any that neither names.
    pub fn label_in_common(&self, other: &Self) -> Option<String> {
        let mut labels: Vec<&str> = match &self.labels {
            Some(labels) => labels.iter().map(String::as_str).collect(),
            None => vec![DEFAULT_LABEL],
        };
        labels.sort_unstable();
        let ties = |label: &&str| {
            let claim = self.claim(label, self.interface);
            claim.is_some() && claim == other.claim(label, self.interface)
        };
        labels.into_iter().find(ties).map(str::to_owned)
    }
}

/// Finds the class that answers `label` for an app that names none, in a namespace with these
/// labels. `classes`: all that there are and that are not being deleted, by name.
///
/// The class `embedded` answers `default` of key-value stores and SQL databases where no other class does,
/// declared or not.
pub fn default_class<'a>(
    classes: impl IntoIterator<Item = (&'a str, &'a StoreClassSpec)>,
    namespace: &BTreeMap<String, String>,
    label: &str,
    interface: Interface,
) -> DefaultClass<'a> {
    // Objects are large: where they go is chosen, by a class or by the App that names one.
    let mut built_in = label == DEFAULT_LABEL && interface != Interface::Blob;
    let mut best: Option<Rank> = None;
    let mut names = Vec::new();
    for (name, class) in classes {
        let usable = class.may_be_used_by(namespace);
        if name == EMBEDDED_CLASS {
            built_in &= usable;
        }
        let Some(rank) = class.claim(label, interface).filter(|_| usable) else {
            continue;
        };
        if best.is_none_or(|best| rank > best) {
            best = Some(rank);
            names.clear();
        }
        if best == Some(rank) {
            names.push(name);
        }
    }
    names.sort_unstable();
    match names.as_slice() {
        [] if built_in => DefaultClass::Class(EMBEDDED_CLASS),
        [] => DefaultClass::None,
        [one] => DefaultClass::Class(one),
        _ => DefaultClass::Tie(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(yaml: &str) -> StoreClassSpec {
        crate::yaml::from_str(&format!("{{backend: {{memory: {{}}}}, {yaml}}}")).unwrap()
    }

    /// Name and spec of each class, label, and what answers it in a namespace of team `a`.
    type Row = (
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static [&'static str],
    );

    #[test]
    fn the_class_that_answers_a_label() {
        let table: &[Row] = &[
            (&[], "default", &["embedded"]),
            (&[], "cache", &[]),
            (&[("pg", "default: false")], "default", &["embedded"]),
            (&[("pg", "default: true")], "default", &["pg"]),
            (&[("pg", "default: true")], "cache", &[]),
            (
                &[("pg", "default: true, labels: [cache]")],
                "default",
                &["embedded"],
            ),
            (
                &[("pg", "default: true, labels: [cache]")],
                "cache",
                &["pg"],
            ),
            (&[("pg", "default: true, labels: ['*']")], "cache", &["pg"]),
            (
                &[("pg", "default: true, labels: ['*']")],
                "default",
                &["pg"],
            ),
            // A namespace's own class beats a general one, also where only that names the label.
            (
                &[
                    ("all", "default: true"),
                    (
                        "a",
                        "default: true, namespaceSelector: {matchLabels: {team: a}}",
                    ),
                ],
                "default",
                &["a"],
            ),
            (
                &[
                    ("all", "default: true"),
                    (
                        "a",
                        "default: true, labels: ['*'], namespaceSelector: {matchLabels: {team: a}}",
                    ),
                ],
                "default",
                &["a"],
            ),
            (
                &[
                    ("all", "default: true"),
                    (
                        "b",
                        "default: true, namespaceSelector: {matchLabels: {team: b}}",
                    ),
                ],
                "default",
                &["all"],
            ),
            (
                &[(
                    "b",
                    "default: true, namespaceSelector: {matchLabels: {team: b}}",
                )],
                "default",
                &["embedded"],
            ),
            // One that names the label beats one that answers any.
            (
                &[
                    ("any", "default: true, labels: ['*']"),
                    ("one", "default: true, labels: [cache]"),
                ],
                "cache",
                &["one"],
            ),
            (
                &[
                    ("any", "default: true, labels: ['*']"),
                    ("one", "default: true, labels: [cache]"),
                ],
                "other",
                &["any"],
            ),
            // Of equal rank: a tie.
            (
                &[("x", "default: true"), ("y", "default: true")],
                "default",
                &["x", "y"],
            ),
            (
                &[
                    ("x", "default: true, labels: ['*']"),
                    ("y", "default: true, labels: ['*']"),
                ],
                "cache",
                &["x", "y"],
            ),
            (
                &[
                    ("x", "default: true, namespaceSelector: {}"),
                    (
                        "y",
                        "default: true, namespaceSelector: {matchLabels: {team: a}}",
                    ),
                ],
                "default",
                &["x", "y"],
            ),
            (
                &[
                    ("x", "default: true"),
                    ("y", "default: true"),
                    ("z", "default: true, namespaceSelector: {}"),
                ],
                "default",
                &["z"],
            ),
            // A declared `embedded` is the built-in one.
            (&[("embedded", "default: false")], "default", &["embedded"]),
            (
                &[("embedded", "default: true"), ("pg", "default: true")],
                "default",
                &["embedded", "pg"],
            ),
            (
                &[("embedded", "namespaceSelector: {matchLabels: {team: b}}")],
                "default",
                &[],
            ),
        ];
        let namespace = [("team".to_owned(), "a".to_owned())].into();
        for (classes, label, expected) in table {
            let specs: Vec<(&str, StoreClassSpec)> = classes
                .iter()
                .map(|(name, yaml)| (*name, spec(yaml)))
                .collect();
            let classes = specs.iter().map(|(name, spec)| (*name, spec));
            let found = default_class(classes, &namespace, label, Interface::KeyValue);
            let found = match found {
                DefaultClass::Class(one) => vec![one],
                DefaultClass::None => Vec::new(),
                DefaultClass::Tie(names) => names,
            };
            assert_eq!(found, *expected, "`{label}` of {specs:?}");
        }
    }

    #[test]
    fn two_defaults_have_a_label_in_common_only_if_neither_is_more_specific() {
        let label = |a: &str, b: &str| spec(a).label_in_common(&spec(b));
        let found = |label: &str| Some(label.to_owned());
        assert_eq!(label("default: true", "default: true"), found("default"));
        assert_eq!(label("default: true", "default: false"), None);
        assert_eq!(label("default: true", "default: true, labels: ['*']"), None);
        assert_eq!(
            label(
                "default: true, labels: ['*']",
                "default: true, labels: ['*']"
            ),
            found("*")
        );
        assert_eq!(
            label(
                "default: true, labels: [a, b]",
                "default: true, labels: [b, c]"
            ),
            found("b")
        );
        assert_eq!(
            label("default: true", "default: true, namespaceSelector: {}"),
            None
        );
    }

    #[test]
    fn objects_go_only_where_a_class_says() {
        let found = |classes: &[(&'static str, &StoreClassSpec)]| {
            let classes = classes.iter().copied();
            match default_class(classes, &BTreeMap::new(), "default", Interface::Blob) {
                DefaultClass::Class(name) => Some(name.to_owned()),
                _ => None,
            }
        };
        let keys = spec("default: true");
        let objects = spec("default: true, interface: Blob");
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("keys", &keys)]), None);
        let both = [("keys", &keys), ("objects", &objects)];
        assert_eq!(found(&both).as_deref(), Some("objects"));
    }
}
