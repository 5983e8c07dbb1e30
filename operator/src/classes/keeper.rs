//! Reads the Secrets that StoreClasses name, again and again while this replica leads.
//!
//! They are read one by one, by name: nothing else of the namespace is looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use shoal_crds::store_class::{EmbeddedBackend, SecretKeySelector};
use shoal_crds::{Backend, EMBEDDED_CLASS, Reason, StoreClass, StoreClassSpec};
use shoal_plan::CredentialFault;
use tracing::{info, warn};

use super::{ClassBook, Seen, wire};
use crate::api_error::in_words;
use crate::lease::Leadership;
use crate::streams::hub::Hub;
use crate::world::World;

/// How soon a changed Secret is seen, while few are named.
const READ_EVERY: Duration = Duration::from_secs(5);
/// With many, one in so much time.
const READ_PACE: Duration = Duration::from_millis(200);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const AT_ONCE: usize = 8;

type Data = BTreeMap<String, ByteString>;

/// Keeps the [`ClassBook`] as the StoreClasses and their Secrets are.
pub struct Keeper {
    /// Reads Secrets.
    pub client: kube::Client,
    /// Shoal's own namespace.
    pub namespace: String,
    /// Knows the StoreClasses.
    pub world: Arc<World>,
    /// Tells runtimes what is new.
    pub hub: Arc<Hub>,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// What is kept.
    pub book: Arc<ClassBook>,
}

/// What was read while this replica leads.
#[derive(Default)]
struct Read {
    /// `None`: there is no such Secret.
    secrets: HashMap<String, Option<Data>>,
    /// Why those that were never read were not.
    failures: HashMap<String, String>,
    /// uid, generation and place of the classes of the last pass.
    seen: Vec<(Option<String>, Option<i64>, Option<String>)>,
}

impl Keeper {
    /// Keeps the book for as long as it is polled.
    pub async fn run(self, alive: impl Fn()) {
        let mut epoch = self.leadership.watch();
        let mut read = Read::default();
        let mut due = tokio::time::Instant::now();
        loop {
            alive();
            if self.leadership.epoch().is_none() {
                self.book.clear();
                read = Read::default();
            } else if self.has_news(&mut read) || tokio::time::Instant::now() >= due {
                due = tokio::time::Instant::now() + self.pass(&mut read).await;
            }
            let now = tokio::time::Instant::now();
            let pause = due.saturating_duration_since(now).min(READ_EVERY);
            tokio::select! {
                () = self.book.look.notified() => {}
                _ = epoch.changed() => {}
                () = tokio::time::sleep(pause.max(READ_PACE)) => {}
            }
        }
    }

    /// Whether there are other classes than there were, or others in what people say of them or where their data is.
    fn has_news(&self, read: &mut Read) -> bool {
        let classes = self.world.with(|index| index.store_classes());
        let seen = classes
            .iter()
            .map(|class| {
                let StoreClass { metadata, .. } = &**class;
                (
                    metadata.uid.clone(),
                    metadata.generation,
                    class.place().map(str::to_owned),
                )
            })
            .collect();
        let before = std::mem::replace(&mut read.seen, seen);
        before != read.seen
            || self
                .book
                .pick(&BTreeSet::from([EMBEDDED_CLASS.into()]))
                .is_none()
    }

    /// Reads everything once; returns when to do so again.
    async fn pass(&self, read: &mut Read) -> Duration {
        let classes = self.world.with(|index| index.store_classes());
        let names: BTreeSet<String> = classes
            .iter()
            .flat_map(|class| wire::needs(&class.spec.backend))
            .map(|key| key.name.clone())
            .collect();
        self.read_all(&names, read).await;
        let mut told = BTreeMap::from([built_in()]);
        let mut news = false;
        for class in &classes {
            let name = class.metadata.name.clone().unwrap_or_default();
            let (seen, result) = self.judge(&name, class, read);
            news |= self
                .world
                .with(|index| index.credentials_read(&name, result));
            told.insert(name, seen);
        }
        if news {
            self.world.wake();
        }
        if self.book.publish(told) {
            info!(
                classes = classes.len(),
                "StoreClasses or their Secrets changed"
            );
            self.hub.refresh_classes(&self.book);
        }
        let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
        READ_EVERY.max(READ_PACE.saturating_mul(all))
    }

    /// What is to be told of a class, and how its credentials are.
    fn judge(
        &self,
        name: &str,
        class: &StoreClass,
        read: &Read,
    ) -> (Seen, Result<(), CredentialFault>) {
        let found = Found {
            read,
            namespace: &self.namespace,
        };
        match wire::message(name, &class.spec, class.place(), &found) {
            Ok(message) => (Seen::Class(Box::new(message)), Ok(())),
            Err(fault) if fault.reason == Reason::SecretUnreadable => {
                (Seen::Unreadable, Err(fault))
            }
            Err(fault) => (Seen::NoCredentials, Err(fault)),
        }
    }

    async fn read_all(&self, names: &BTreeSet<String>, read: &mut Read) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let one = |name: &String| {
            let (api, name) = (api.clone(), name.clone());
            async move {
                let answer = tokio::time::timeout(REQUEST_TIMEOUT, api.get_opt(&name)).await;
                let answer = match answer {
                    Ok(Ok(secret)) => Ok(secret.map(|secret| secret.data.unwrap_or_default())),
                    Ok(Err(error)) => Err(in_words(&error)),
                    Err(_) => Err("the API server did not answer in time".to_owned()),
                };
                (name, answer)
            }
        };
        let answers: Vec<_> = futures::stream::iter(names.iter().map(one))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        read.secrets.retain(|name, _| names.contains(name));
        read.failures.clear();
        for (name, answer) in answers {
            match answer {
                Ok(data) => {
                    read.secrets.insert(name, data);
                }
                Err(why) => {
                    warn!(
                        secret = name,
                        why, "a Secret of a StoreClass cannot be read"
                    );
                    read.failures.insert(name, why);
                }
            }
        }
    }
}

/// What runtimes are told of the class that exists without being declared.
fn built_in() -> (String, Seen) {
    let spec = StoreClassSpec {
        backend: Backend {
            embedded: Some(EmbeddedBackend {}),
            ..Backend::default()
        },
        ..StoreClassSpec::default()
    };
    let none = Found {
        read: &Read::default(),
        namespace: "",
    };
    let message = wire::message(EMBEDDED_CLASS, &spec, None, &none);
    let seen = message.map_or(Seen::NoCredentials, |message| {
        Seen::Class(Box::new(message))
    });
    (EMBEDDED_CLASS.to_owned(), seen)
}

struct Found<'a> {
    read: &'a Read,
    namespace: &'a str,
}

impl wire::Secrets for Found<'_> {
    fn text(&self, from: &SecretKeySelector) -> Result<String, CredentialFault> {
        match self.read.secrets.get(&from.name) {
            Some(data) => wire::text(data.as_ref(), from, self.namespace),
            None => Err(CredentialFault {
                reason: Reason::SecretUnreadable,
                message: format!(
                    "Secret `{}` of namespace `{}` cannot be read: {}",
                    from.name,
                    self.namespace,
                    self.read
                        .failures
                        .get(&from.name)
                        .map_or("it was not asked for yet", String::as_str)
                ),
            }),
        }
    }
}
