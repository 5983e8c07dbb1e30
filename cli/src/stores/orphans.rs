//! `shoal stores orphans`, `adopt` and `purge`: data whose Store is gone.

use std::io::{BufRead as _, Write as _};

use anyhow::{Result, bail, ensure};
use http::Method;
use k8s_openapi::jiff::Timestamp;
use kube::core::Status;
use shoal_crds::{Adoption, Store, StoreOrphan, StoreOrphanList};

use super::api::{explained, request};
use super::row::number;
use super::{Output, or_default, write};
use crate::cluster::Cluster;
use crate::table::{age, aligned, visible};

const ORPHANS: &str = "storeorphans";

/// List data that is kept although its Store is gone: with its namespace, for instance.
///
/// Stores whose App is gone are not among these: `list` marks them.
#[derive(clap::Args)]
pub(super) struct Orphans {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Give data whose Store is gone to a Store of a namespace, which is made for it.
#[derive(clap::Args)]
pub(super) struct Adopt {
    /// Its id, as `orphans` shows it.
    id: String,
    /// Namespace of the new Store (default: the context's).
    #[arg(short, long)]
    namespace: Option<String>,
    /// App that finds it (default: the one that it was made for).
    #[arg(long)]
    app: Option<String>,
    /// Label that guests open (default: the one that it was made for).
    #[arg(long)]
    label: Option<String>,
    /// Name of the new Store (default: APP-LABEL, with -sql after it for a database and -blob for objects).
    #[arg(long)]
    name: Option<String>,
}

/// Remove data whose Store is gone, for good.
#[derive(clap::Args)]
pub(super) struct Purge {
    /// Its id, as `orphans` shows it.
    id: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl Orphans {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let orphans = all(cluster).await?;
        write(&orphans, self.output, "No orphaned data.", |orphans| {
            table(orphans, Timestamp::now())
        })
    }
}

impl Adopt {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let adoption = Adoption {
            namespace: or_default(self.namespace.as_ref(), cluster),
            name: self.name.clone(),
            app: self.app.clone(),
            label: self.label.clone(),
        };
        let path = [ORPHANS, &self.id, "adopt"];
        let body = serde_json::to_vec(&adoption)?;
        let made = cluster
            .client
            .request::<Store>(request(Method::POST, &path, &[], body)?);
        let made = made.await.map_err(|error| explained(cluster, error))?;
        println!(
            "Store {} of namespace {} has the data; label `{}` of App {} finds it.",
            made.metadata.name.unwrap_or_default(),
            adoption.namespace,
            made.spec.label,
            made.spec.app
        );
        Ok(())
    }
}

impl Purge {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let path = [ORPHANS, &self.id];
        let orphan =
            cluster
                .client
                .request::<StoreOrphan>(request(Method::GET, &path, &[], Vec::new())?);
        let orphan = orphan.await.map_err(|error| explained(cluster, error))?;
        if !self.yes {
            confirm(&orphan)?;
        }
        loop {
            let purge = request(Method::DELETE, &path, &[], Vec::new())?;
            let answer = cluster.client.request::<Status>(purge).await;
            let answer = answer.map_err(|error| explained(cluster, error))?;
            // 202: a part is gone.
            if answer.code != 202 {
                println!("The data of {} is removed.", name(&orphan));
                return Ok(());
            }
        }
    }
}

async fn all(cluster: &Cluster) -> Result<Vec<StoreOrphan>> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = request(Method::GET, &[ORPHANS], &[("continue", &after)], Vec::new())?;
        let page = cluster.client.request::<StoreOrphanList>(page).await;
        let page = page.map_err(|error| explained(cluster, error))?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => after = token,
            None => return Ok(found),
        }
    }
}

fn table(orphans: &[StoreOrphan], now: Timestamp) -> String {
    let titles = [
        "ID",
        "NAMESPACE",
        "APP",
        "LABEL",
        "INTERFACE",
        "CLASS",
        "KEYS",
        "BYTES",
        "SINCE",
    ];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    for StoreOrphan {
        metadata,
        store,
        status,
        ..
    } in orphans
    {
        let since: Option<Timestamp> = status.orphan_since.parse().ok();
        lines.push(vec![
            metadata.name.clone().unwrap_or_default(),
            store.namespace.clone(),
            store.app.clone(),
            store.label.clone(),
            store.interface.as_str().to_owned(),
            store.class_name.clone(),
            number(status.keys),
            number(status.bytes),
            since.map_or("-".to_owned(), |since| age(since, now)),
        ]);
    }
    aligned(&lines)
}

fn name(orphan: &StoreOrphan) -> String {
    let store = &orphan.store;
    visible(&format!(
        "{}/{}/{}",
        store.namespace, store.app, store.label
    ))
}

/// Asks on the terminal.
fn confirm(orphan: &StoreOrphan) -> Result<()> {
    eprint!("{}", question(orphan));
    let _ = std::io::stderr().flush();
    let mut typed = String::new();
    if std::io::stdin().lock().read_line(&mut typed)? == 0 {
        bail!("nobody answers: use --yes where nobody can be asked");
    }
    ensure!(typed.trim() == name(orphan), "nothing is removed");
    Ok(())
}

fn question(orphan: &StoreOrphan) -> String {
    let (name, store) = (name(orphan), &orphan.store);
    let keys = orphan
        .status
        .keys
        .map_or("an unknown number of keys".to_owned(), |keys| {
            format!("{keys} keys")
        });
    format!(
        "This removes {keys} of {name} (interface {}, class {}) for good.\nType {name} to go on: ",
        store.interface.as_str(),
        visible(&store.class_name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan() -> StoreOrphan {
        serde_json::from_str(
            r#"{"apiVersion": "runtime.shoal.dev/v1alpha1", "kind": "StoreOrphan",
                "metadata": {"name": "id"},
                "store": {"namespace": "shop", "app": "hello", "label": "default",
                          "interface": "Sql", "className": "pg"},
                "status": {"firstSeen": "2026-01-01T00:00:00Z", "orphanSince": "2026-01-01T00:00:00Z"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn who_is_asked_learns_what_goes() {
        let text = question(&orphan());
        for part in [
            "an unknown number",
            "shop/hello/default",
            "interface Sql",
            "class pg",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_a_class_cannot_count_is_not_called_empty() {
        let orphan = orphan();
        let text = table(&[orphan], "2026-01-01T01:00:00Z".parse().unwrap());
        let cells: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            cells,
            [
                "id", "shop", "hello", "default", "Sql", "pg", "-", "-", "60m"
            ]
        );
    }
}
