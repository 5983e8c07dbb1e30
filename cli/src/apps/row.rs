//! What is shown of one App.

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use shoal_crds::{App, Condition, ConditionStatus};

/// Conditions in the order in which they come true: the first that does not hold is why.
const STEPS: [&str; 5] = [
    "ImageResolved",
    "Built",
    "StoresBound",
    "Available",
    "Ready",
];

/// One App, as people and programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `ready/wanted` nodes; `-` until the operator has seen the App.
    pub ready: String,
    /// Whether the current revision is served as wanted.
    pub is_ready: bool,
    /// What it is made from: image, or the components' images.
    pub images: Vec<String>,
    /// Where it answers in the cluster.
    pub url: Option<String>,
    /// Where it runs, or does not.
    pub nodes: Vec<Node>,
    /// Names of the Stores it is bound to.
    pub stores: Vec<String>,
    /// Why it is not ready, in one word; or why ready is less than it seems (`Degraded`).
    pub reason: Option<String>,
    /// The same in full.
    pub message: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub created: Option<Timestamp>,
}

/// One App on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Whether it answers there.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Row {
    /// What an App's object says.
    pub fn of(app: &App) -> Self {
        let status = app.status.clone().unwrap_or_default();
        // Conditions of an earlier generation speak of another spec.
        let seen = status.observed_generation == app.metadata.generation.unwrap_or(0);
        let ready = condition(&status.conditions, "Ready");
        let is_ready = seen && ready.is_some_and(|ready| ready.status == ConditionStatus::True);
        let (reason, message) = if seen {
            why(&status.conditions, is_ready)
        } else {
            (
                Some("Pending".into()),
                Some("the operator has not looked at it yet".into()),
            )
        };
        Self {
            namespace: app.metadata.namespace.clone().unwrap_or_default(),
            name: app.metadata.name.clone().unwrap_or_default(),
            ready: status.ready.unwrap_or_else(|| "-".into()),
            is_ready,
            images: images(app),
            url: status.url,
            nodes: status
                .nodes
                .into_iter()
                .map(|node| Node {
                    name: node.name,
                    ready: node.ready,
                    reason: node.reason,
                })
                .collect(),
            stores: status.stores.into_iter().map(|store| store.store).collect(),
            reason,
            message,
            created: app.metadata.creation_timestamp.as_ref().map(|time| time.0),
        }
    }
}

fn images(app: &App) -> Vec<String> {
    let components = app
        .spec
        .components
        .iter()
        .flatten()
        .map(|component| component.image.clone());
    app.spec.image.iter().cloned().chain(components).collect()
}

fn condition<'a>(conditions: &'a [Condition], name: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == name)
}

/// The condition that explains the state, if there is something to explain.
fn why(conditions: &[Condition], is_ready: bool) -> (Option<String>, Option<String>) {
    if is_ready {
        // Ready stays true through the loss of a node, and of a suspended app.
        return match condition(conditions, "Ready") {
            Some(ready) if ["Degraded", "Suspended"].contains(&ready.reason.as_str()) => {
                told(ready)
            }
            _ => (None, None),
        };
    }
    let ready = condition(conditions, "Ready");
    // `Ready` itself says it best where a new revision failed beside the old one.
    if let Some(ready) = ready.filter(|ready| ready.reason == "RevisionFailed") {
        return told(ready);
    }
    let failed = STEPS
        .iter()
        .filter_map(|name| condition(conditions, name))
        .find(|condition| condition.status != ConditionStatus::True);
    failed.map_or((None, None), told)
}

fn told(condition: &Condition) -> (Option<String>, Option<String>) {
    (
        Some(condition.reason.clone()),
        Some(condition.message.clone()),
    )
}

fn time<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(status: &str) -> App {
        let text = format!(
            "apiVersion: shoal.dev/v1alpha1\nkind: App\n\
             metadata: {{name: hello, namespace: shop, generation: 3}}\n\
             spec: {{image: 'registry.example/hello:1'}}\nstatus: {status}\n"
        );
        shoal_crds::yaml::from_str(&text).unwrap()
    }

    fn conditions(list: &[(&str, &str, &str)]) -> String {
        let conditions: Vec<String> = list
            .iter()
            .map(|(name, status, reason)| {
                format!(
                    "{{type: {name}, status: '{status}', reason: {reason}, message: '{reason} told', \
                     lastTransitionTime: '2026-01-01T00:00:00Z'}}"
                )
            })
            .collect();
        format!(
            "{{observedGeneration: 3, ready: 1/2, conditions: [{}]}}",
            conditions.join(", ")
        )
    }

    #[test]
    fn an_app_that_nobody_saw_is_pending() {
        let row = Row::of(&app("{observedGeneration: -1}"));
        assert_eq!(
            (row.ready.as_str(), row.reason.as_deref()),
            ("-", Some("Pending"))
        );
    }

    #[test]
    fn a_status_of_an_earlier_generation_is_not_believed() {
        let ready = conditions(&[("Ready", "True", "AllNodesReady")])
            .replace("Generation: 3", "Generation: 2");
        let row = Row::of(&app(&ready));
        assert!(!row.is_ready);
        assert_eq!(row.reason.as_deref(), Some("Pending"));
    }

    #[test]
    fn the_first_step_that_failed_is_why() {
        let row = Row::of(&app(&conditions(&[
            ("Ready", "False", "Waiting"),
            ("ImageResolved", "True", "Resolved"),
            ("Built", "False", "UnsupportedImport"),
            ("StoresBound", "Unknown", "Waiting"),
        ])));
        assert_eq!(row.reason.as_deref(), Some("UnsupportedImport"));
        assert_eq!(row.message.as_deref(), Some("UnsupportedImport told"));
    }

    #[test]
    fn a_failed_revision_beside_a_serving_one_says_so() {
        let row = Row::of(&app(&conditions(&[
            ("Ready", "False", "RevisionFailed"),
            ("Available", "True", "EndpointsReady"),
            ("Built", "False", "InvalidWasm"),
        ])));
        assert_eq!(row.reason.as_deref(), Some("RevisionFailed"));
    }

    #[test]
    fn a_ready_app_needs_no_reason_but_a_degraded_one_has_it() {
        let row = Row::of(&app(&conditions(&[("Ready", "True", "AllNodesReady")])));
        assert!(row.is_ready && row.reason.is_none());
        let row = Row::of(&app(&conditions(&[("Ready", "True", "Degraded")])));
        assert!(row.is_ready);
        assert_eq!(row.reason.as_deref(), Some("Degraded"));
    }
}
