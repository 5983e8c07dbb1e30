//! Serving a file of assignments, as it changes.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use shoal_crds::Interface;
use tokio::time::{Instant, sleep};

use super::{
    builder::{BuilderError, LocalBuilder},
    configuration::Configuration,
    file::{self, Entry},
    plan,
    store_ids::StoreIds,
};
use crate::{
    Node,
    assignment::{AppRef, Assignment, Assignments, InvalidAssignment, StoreBinding},
};

/// How often the file is looked at.
const POLL: Duration = Duration::from_secs(1);
/// When an image that could not be had is asked for again.
const AGAIN: Duration = Duration::from_secs(5);

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The file.
    pub file: PathBuf,
    /// Folder of state.
    pub state_dir: PathBuf,
    /// Address to listen on; `None`: all.
    pub listen_address: Option<IpAddr>,
}

/// Serves what the file lists, for as long as the future lives.
///
/// # Errors
/// The state folder cannot be used. A file that cannot be read changes nothing and is told in the log.
pub async fn follow(config: LocalConfig, node: Node, builder: Arc<LocalBuilder>) -> io::Result<()> {
    let ids = StoreIds::open(&config.state_dir)?;
    let mut follower = Follower {
        config,
        node,
        builder,
        ids,
        built: HashMap::new(),
    };
    let mut seen = None;
    let mut again = None;
    loop {
        let stamp = stamp(&follower.config.file);
        let due = again.is_some_and(|at| Instant::now() >= at);
        if seen != Some(stamp) || due {
            seen = Some(stamp);
            again = follower.read().await.then(|| Instant::now() + AGAIN);
        }
        sleep(POLL).await;
    }
}

/// Tells one content of the file from another.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

struct Follower {
    config: LocalConfig,
    node: Node,
    builder: Arc<LocalBuilder>,
    ids: StoreIds,
    /// What was made of each app last.
    built: HashMap<AppRef, (Entry, Assignment)>,
}

impl Follower {
    /// Reads the file and applies it. Whether something is worth another try.
    async fn read(&mut self) -> bool {
        let entries = match file::read(&self.config.file) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "the assignments are left as they were");
                return false;
            }
        };
        let code_keys = match self.builder.code_keys().await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "the assignments are left as they were");
                return true;
            }
        };
        let (mut set, mut again) = (Vec::new(), false);
        for entry in entries {
            let assignment = self.assignment(&entry).await.map_err(|problem| {
                again |= problem.passing;
                refusal(&entry, problem.message)
            });
            set.push(assignment.clone());
            // Each app is served as soon as it can be.
            let (set, code_keys) = (vec![assignment], code_keys.clone());
            self.node.apply(Assignments {
                set,
                code_keys,
                ..Assignments::default()
            });
        }
        self.node.apply(Assignments {
            full: true,
            set,
            code_keys,
            ..Assignments::default()
        });
        again
    }

    async fn assignment(&mut self, entry: &Entry) -> Result<Assignment, Problem> {
        let app = app_ref(entry);
        // A path may hold something else now; a reference is asked for again only when it changes.
        let local = images(entry).iter().any(|image| image.starts_with("file:"));
        if let Some((known, assignment)) = self.built.get(&app)
            && known == entry
            && !local
        {
            return Ok(assignment.clone());
        }
        let mut descriptions = Vec::new();
        for image in images(entry) {
            let built = self.builder.build(&image, self.node.engine_key()).await;
            descriptions.push(built.map_err(|error| Problem {
                passing: !matches!(error, BuilderError::Refused { again: false, .. }),
                message: format!("image `{image}`: {error}"),
            })?);
        }
        let bind = |label: &str, interface| bind(&mut self.ids, entry, label, interface);
        let address = self.config.listen_address;
        let none = Configuration::default();
        let assignment =
            plan::assignment(entry, descriptions, address, &none, bind).map_err(|message| {
                Problem {
                    message,
                    passing: false,
                }
            })?;
        self.built.insert(app, (entry.clone(), assignment.clone()));
        Ok(assignment)
    }
}

struct Problem {
    message: String,
    passing: bool,
}

/// The one label that has a Store without being asked for.
const DEFAULT_LABEL: &str = "default";

/// All Stores are embedded: a file of assignments knows no other class.
fn bind(
    ids: &mut StoreIds,
    entry: &Entry,
    label: &str,
    interface: Interface,
) -> Result<StoreBinding, String> {
    let embedded = shoal_crds::EMBEDDED_CLASS;
    let mut asked = entry.spec.stores.iter().flatten();
    match asked.find(|asked| asked.label == label && asked.interface == interface) {
        Some(asked) if asked.store.is_none() && asked.class.as_deref() == Some(embedded) => {}
        Some(_) => {
            return Err(format!(
                "with --assignments `stores` may name `class: {embedded}` alone; `shoal up` serves other \
                 classes and Stores"
            ));
        }
        None if label == DEFAULT_LABEL => {}
        None => {
            return Err(format!(
                "with --assignments only `{DEFAULT_LABEL}` has a store by itself; name the label in `stores` \
                 with `class: {embedded}`, or use `shoal up` with --store {label}=URL"
            ));
        }
    }
    let id = ids
        .get(&entry.namespace, &entry.name, label, interface)
        .map_err(|error| format!("its id cannot be had: {error}"))?;
    Ok(StoreBinding {
        label: label.to_owned(),
        interface,
        id,
        class: embedded.to_owned(),
        nodes: 1,
    })
}

fn images(entry: &Entry) -> Vec<String> {
    let listed = entry
        .spec
        .components
        .iter()
        .flatten()
        .map(|component| component.image.clone());
    entry.spec.image.clone().into_iter().chain(listed).collect()
}

fn app_ref(entry: &Entry) -> AppRef {
    AppRef {
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
        uid: String::new(),
    }
}

fn refusal(entry: &Entry, message: String) -> InvalidAssignment {
    InvalidAssignment {
        app: app_ref(entry),
        generation: String::new(),
        message,
    }
}
