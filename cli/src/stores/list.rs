//! `shoal stores list` and `usage`.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shoal_crds::{App, Store};

use super::row::{Apps, Row, class_trouble, number, table};
use super::{Output, Place, write};
use crate::cluster::Cluster;
use crate::table::aligned;

/// Objects asked for at once: a list of thousands comes in pages.
const PAGE: u32 = 500;
const UNKNOWN: &str = "Stores: install manifests/crds.yaml first";

/// List Stores: whose they are, of which class, what they hold, and who uses them.
#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    place: Place,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Sum up what Stores hold, by namespace and class, the largest first.
#[derive(clap::Args)]
pub(super) struct Usage {
    #[command(flatten)]
    place: Place,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl List {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let namespace = self.place.namespace(cluster);
        let rows = rows(cluster, namespace.as_deref()).await?;
        let all = namespace.is_none();
        write(&rows, self.output, &none(namespace), |rows| {
            table(rows, all, Timestamp::now())
        })
    }
}

impl Usage {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let namespace = self.place.namespace(cluster);
        let rows = rows(cluster, namespace.as_deref()).await?;
        write(&sums(&rows), self.output, &none(namespace), sums_table)
    }
}

fn none(namespace: Option<String>) -> String {
    let place = namespace.map_or("any namespace".into(), |name| format!("namespace {name}"));
    format!("No Stores in {place}.")
}

/// The Stores of a namespace (`None`: all), by namespace and name.
pub(super) async fn rows(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Row>> {
    let stores: Vec<Store> = all(cluster, namespace)
        .await
        .map_err(|error| cluster.explained(error, UNKNOWN))?;
    // Who may not list Apps sees Stores all the same.
    let apps: Option<Vec<App>> = all(cluster, namespace).await.ok();
    let one = |app: App| {
        let trouble = class_trouble(&app);
        let metadata = app.metadata;
        let namespace = metadata.namespace.unwrap_or_default();
        ((namespace, metadata.name.unwrap_or_default()), trouble)
    };
    let apps: Option<Apps> = apps.map(|apps| apps.into_iter().map(one).collect());
    let row = |store| Row::of(store, apps.as_ref());
    let mut rows: Vec<Row> = stores.iter().map(row).collect();
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(rows)
}

async fn all<K>(cluster: &Cluster, namespace: Option<&str>) -> kube::Result<Vec<K>>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let client = cluster.client.clone();
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let (mut found, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let list = api.list(&page).await?;
        found.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// What the Stores of a class hold in a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    namespace: String,
    class: String,
    stores: u64,
    keys: i64,
    bytes: i64,
    /// Stores that were not counted yet.
    uncounted: u64,
}

fn sums(rows: &[Row]) -> Vec<Sum> {
    let mut sums: BTreeMap<(&str, &str), Sum> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((&row.namespace, &row.class)).or_default();
        sum.namespace.clone_from(&row.namespace);
        sum.class.clone_from(&row.class);
        sum.stores += 1;
        sum.keys += row.keys.unwrap_or(0);
        sum.bytes += row.bytes.unwrap_or(0);
        sum.uncounted += u64::from(row.keys.is_none());
    }
    let mut sums: Vec<Sum> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
    sums
}

fn sums_table(sums: &[Sum]) -> String {
    let titles = ["NAMESPACE", "CLASS", "STORES", "KEYS", "BYTES"];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    for sum in sums {
        let counted = sum.uncounted < sum.stores;
        lines.push(vec![
            sum.namespace.clone(),
            sum.class.clone(),
            sum.stores.to_string(),
            number(counted.then_some(sum.keys)),
            number(counted.then_some(sum.bytes)),
        ]);
    }
    aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::store;
    use super::*;

    #[test]
    fn usage_is_summed_up_and_the_largest_is_first() {
        let rows: Vec<Row> = [
            store("shop", "a", "embedded", 10),
            store("shop", "b", "pg", 500),
            store("shop", "c", "embedded", 30),
            store("bank", "a", "embedded", 60),
        ]
        .iter()
        .map(|store| Row::of(store, None))
        .collect();
        let text = sums_table(&sums(&rows));
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["shop", "pg", "1", "2", "500"]);
        assert_eq!(lines[2], ["bank", "embedded", "1", "2", "60"]);
        assert_eq!(lines[3], ["shop", "embedded", "2", "4", "40"]);
    }
}
