//! What is shown of one Store.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use shoal_crds::{App, ConditionType, EMBEDDED_CLASS, Reason, Store};

use crate::table::{age, aligned, visible};

/// One Store, as people and programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) app: String,
    pub(super) label: String,
    pub(super) interface: String,
    pub(super) class: String,
    pub(super) backend: Option<String>,
    pub(super) keys: Option<i64>,
    pub(super) bytes: Option<i64>,
    /// Apps that use it now.
    pub(super) used_by: Vec<String>,
    /// Its App is not there, and nobody else uses it; `None`: Apps may not be listed.
    pub(super) orphan: Option<bool>,
    /// `Retain` or `Delete`.
    pub(super) reclaim_policy: String,
    /// When its data goes.
    pub(super) delete_at: Option<String>,
    pub(super) id: Option<String>,
    #[serde(serialize_with = "time")]
    pub(super) created: Option<Timestamp>,
    /// What is the matter with its class, where an App that uses it says so. Of classes that are declared it is in the
    /// StoreClass.
    pub(super) class_trouble: Option<String>,
}

/// Apps by namespace and name, and what each says of the built-in class.
pub(super) type Apps = BTreeMap<(String, String), Option<String>>;

/// What an App says is the matter with the built-in class.
pub(super) fn class_trouble(app: &App) -> Option<String> {
    let conditions = &app.status.as_ref()?.conditions;
    let said = conditions.iter().find(|one| {
        one.type_ == ConditionType::StoresBound.as_str()
            && one.reason == Reason::StoreClassNotReady.as_str()
    });
    said.map(|said| said.message.clone())
}

impl Row {
    /// What a Store's object says; `apps`: those that there are.
    pub(super) fn of(store: &Store, apps: Option<&Apps>) -> Self {
        let (spec, metadata) = (&store.spec, &store.metadata);
        let status = store.status.clone().unwrap_or_default();
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let app = (namespace.clone(), spec.app.clone());
        let says = |name: &String| {
            let said = apps?.get(&(namespace.clone(), name.clone()))?;
            said.clone().filter(|_| spec.class_name == EMBEDDED_CLASS)
        };
        Self {
            class_trouble: status.used_by.iter().find_map(says),
            orphan: apps.map(|apps| !apps.contains_key(&app) && status.used_by.is_empty()),
            namespace,
            name: metadata.name.clone().unwrap_or_default(),
            app: spec.app.clone(),
            label: spec.label.clone(),
            interface: spec.interface.as_str().to_owned(),
            class: spec.class_name.clone(),
            backend: status.backend,
            keys: status.keys,
            bytes: status.bytes,
            used_by: status.used_by,
            reclaim_policy: format!("{:?}", spec.reclaim_policy),
            delete_at: status.delete_at,
            id: spec.id.clone(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        }
    }
}

/// Stores as a table.
pub(super) fn table(rows: &[Row], with_namespace: bool, now: Timestamp) -> String {
    let titles = [
        "NAME",
        "APP",
        "LABEL",
        "INTERFACE",
        "CLASS",
        "BACKEND",
        "KEYS",
        "BYTES",
        "USED BY",
        "ORPHAN",
        "AGE",
    ];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| cells(row, now)));
    if with_namespace {
        let spaces = rows.iter().map(|row| row.namespace.clone());
        let spaces = std::iter::once("NAMESPACE".to_owned()).chain(spaces);
        for (line, namespace) in lines.iter_mut().zip(spaces) {
            line.insert(0, namespace);
        }
    }
    let mut text = aligned(&lines);
    if let Some(trouble) = rows.iter().find_map(|row| row.class_trouble.as_ref()) {
        text.push_str(&format!(
            "\nclass `{EMBEDDED_CLASS}` is not ready: {}\n",
            visible(trouble)
        ));
    }
    text
}

fn cells(row: &Row, now: Timestamp) -> Vec<String> {
    let orphan = match row.orphan {
        Some(true) => "yes",
        Some(false) => "",
        None => "?",
    };
    vec![
        row.name.clone(),
        row.app.clone(),
        row.label.clone(),
        row.interface.clone(),
        row.class.clone(),
        row.backend.clone().unwrap_or_else(|| "-".to_owned()),
        number(row.keys),
        number(row.bytes),
        match row.used_by.is_empty() {
            true => "-".to_owned(),
            false => row.used_by.join(","),
        },
        orphan.to_owned(),
        row.created.map_or("-".to_owned(), |time| age(time, now)),
    ]
}

/// `-`: not known.
pub(super) fn number<T: ToString>(number: Option<T>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn time<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn store(namespace: &str, app: &str, class: &str, bytes: i64) -> Store {
        let text = format!(
            "apiVersion: shoal.dev/v1alpha1\nkind: Store\n\
             metadata: {{name: {app}-default, namespace: {namespace}}}\n\
             spec: {{app: {app}, label: default, className: {class}}}\n\
             status: {{bound: true, keys: 2, bytes: {bytes}, backend: embedded}}\n"
        );
        shoal_crds::yaml::from_str(&text).unwrap()
    }

    fn apps(names: &[(&str, &str)]) -> Apps {
        let pair = |(a, b): &(&str, &str)| (((*a).to_owned(), (*b).to_owned()), None);
        names.iter().map(pair).collect()
    }

    #[test]
    fn an_orphan_is_a_store_whose_app_is_not_there_and_that_nobody_uses() {
        let hello = store("shop", "hello", "embedded", 7);
        let orphan = |store: &Store, apps: Option<&Apps>| Row::of(store, apps).orphan;
        assert_eq!(orphan(&hello, None), None);
        assert_eq!(
            orphan(&hello, Some(&apps(&[("shop", "hello")]))),
            Some(false)
        );
        assert_eq!(
            orphan(&hello, Some(&apps(&[("bank", "hello")]))),
            Some(true)
        );
        let mut shared = hello;
        if let Some(status) = &mut shared.status {
            status.used_by = vec!["other".to_owned()];
        }
        assert_eq!(orphan(&shared, Some(&Apps::new())), Some(false));
    }

    #[test]
    fn trouble_of_the_built_in_class_stands_below_the_table() {
        let text = "apiVersion: shoal.dev/v1alpha1\nkind: App\nmetadata: {name: hello, namespace: shop}\n\
            spec: {image: a}\nstatus: {conditions: [{type: StoresBound, status: 'True', reason: StoreClassNotReady, \
            lastTransitionTime: '2026-01-01T00:00:00Z', message: the disk is full}]}\n";
        let app: App = shoal_crds::yaml::from_str(text).unwrap();
        let trouble = class_trouble(&app);
        assert_eq!(trouble.as_deref(), Some("the disk is full"));
        let apps = Apps::from([(("shop".to_owned(), "hello".to_owned()), trouble)]);
        let row = |class| {
            let mut store = store("shop", "hello", class, 7);
            store.status.as_mut().unwrap().used_by = vec!["hello".to_owned()];
            Row::of(&store, Some(&apps))
        };
        let shown = |class| table(&[row(class)], false, Timestamp::UNIX_EPOCH);
        let below = "\nclass `embedded` is not ready: the disk is full\n";
        assert!(shown("embedded").ends_with(below), "{}", shown("embedded"));
        assert!(!shown("pg").contains("not ready"), "{}", shown("pg"));
    }

    #[test]
    fn a_table_has_a_namespace_where_there_may_be_several() {
        let rows = [Row::of(
            &store("shop", "hello", "embedded", 7),
            Some(&Apps::new()),
        )];
        let text = table(&rows, true, Timestamp::UNIX_EPOCH);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("NAMESPACE   NAME            APP     LABEL"),
            "{text}"
        );
        assert!(
            lines[1].starts_with("shop        hello-default   hello   default"),
            "{text}"
        );
        assert!(
            lines[1].contains("embedded   2      7       -         yes"),
            "{text}"
        );
        assert!(table(&rows, false, Timestamp::UNIX_EPOCH).starts_with("NAME "));
    }
}
