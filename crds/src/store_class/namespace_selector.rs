//! Which namespaces a class is for.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::validation;

/// Labels that a namespace must have, as a `metav1.LabelSelector`. Empty: every namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels with their values. `kubernetes.io/metadata.name` is the namespace's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "validation::label_map_schema")]
    pub match_labels: BTreeMap<String, String>,

    /// What else must hold of its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<SelectorRequirement>,
}

/// What must hold of one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)"
).message("`values` go with `In` and `NotIn`, and with no other operator"))]
pub struct SelectorRequirement {
    /// Key of the label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,

    /// How the label is compared.
    pub operator: SelectorOperator,

    /// Values that it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub values: Vec<String>,
}

/// How a label is compared, as in `metav1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SelectorOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    #[default]
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl NamespaceSelector {
    /// Whether a namespace with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        self.match_labels.iter().all(equal)
            && self.match_expressions.iter().all(|one| one.holds(labels))
    }
}

impl SelectorRequirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let named = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            SelectorOperator::In => named,
            SelectorOperator::NotIn => !named,
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    /// Selector, labels of a namespace, and whether they match.
    type Row = (&'static str, &'static [(&'static str, &'static str)], bool);

    #[test]
    fn a_selector_means_what_it_means_everywhere_in_kubernetes() {
        let table: &[Row] = &[
            ("{}", &[], true),
            (
                "{matchLabels: {team: a}}",
                &[("team", "a"), ("x", "y")],
                true,
            ),
            ("{matchLabels: {team: a}}", &[("team", "b")], false),
            ("{matchLabels: {team: a}}", &[], false),
            (
                "{matchExpressions: [{key: team, operator: In, values: [a, b]}]}",
                &[("team", "b")],
                true,
            ),
            (
                "{matchExpressions: [{key: team, operator: In, values: [a]}]}",
                &[],
                false,
            ),
            (
                "{matchExpressions: [{key: team, operator: NotIn, values: [a]}]}",
                &[],
                true,
            ),
            (
                "{matchExpressions: [{key: team, operator: NotIn, values: [a]}]}",
                &[("team", "a")],
                false,
            ),
            (
                "{matchExpressions: [{key: team, operator: Exists}]}",
                &[("team", "")],
                true,
            ),
            (
                "{matchExpressions: [{key: team, operator: DoesNotExist}]}",
                &[("team", "")],
                false,
            ),
            (
                "{matchLabels: {a: b}, matchExpressions: [{key: team, operator: Exists}]}",
                &[("a", "b")],
                false,
            ),
        ];
        for (selector, namespace, matches) in table {
            let selector: NamespaceSelector = crate::yaml::from_str(selector).unwrap();
            assert_eq!(
                selector.matches(&labels(namespace)),
                *matches,
                "{selector:?} on {namespace:?}"
            );
        }
    }
}
