//! The classes that there are, with a way to the data of each.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use shoal_protocol::v1::{self, store_class::Backend as Message};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Housekeeping,
    holdings::{Databases, Every, Holdings, Keys, Objects},
    lane::{self, Pace},
};
use crate::{
    Backend, Health, PlaceId, Postgres, Redis, RedisOptions, S3, StoreLimits, health::Reason,
    postgres::PostgresOptions, server::Backends, wire,
};

/// Classes at once.
const MOST: usize = 1000;
/// The class that exists without being declared.
const EMBEDDED: &str = "embedded";
/// Connections to a database: one Store is counted at a time, and the data of one removed.
const CONNECTIONS: u8 = 2;

/// See the module.
pub(super) struct Classes {
    own: Backends,
    of: Weak<Housekeeping>,
    known: HashMap<String, Class>,
}

struct Class {
    /// As it was described. Holds credentials.
    described: Option<Message>,
    data: Result<Data, String>,
    /// What it says of its Stores; 0: nothing.
    limits: v1::StoreLimits,
    /// `None`: not known yet.
    health: Arc<Mutex<Option<Health>>>,
    _lane: Option<AbortOnDropHandle<()>>,
}

impl Classes {
    /// The class `embedded` alone; nothing is counted before the first [`Self::replace`].
    pub(super) fn new(own: Backends, of: Weak<Housekeeping>) -> Self {
        Self {
            own,
            of,
            known: HashMap::new(),
        }
    }

    /// These are the classes from now on. What is under way with those of before ends.
    pub(super) fn replace(&mut self, message: v1::StoreClasses) {
        let v1::StoreClasses { mut classes, keep } = message;
        classes.truncate(MOST);
        if classes.iter().all(|class| class.name != EMBEDDED) {
            classes.push(v1::StoreClass {
                name: EMBEDDED.to_owned(),
                backend: Some(Message::Embedded(v1::EmbeddedBackend {})),
                ..v1::StoreClass::default()
            });
        }
        let mut before = std::mem::take(&mut self.known);
        for v1::StoreClass {
            name,
            backend,
            limits,
            ..
        } in classes
        {
            let same = before.remove(&name);
            let mut class = match same {
                Some(class) if class.described == backend => class,
                // As it was, so that it goes on; but kept to where it is said to be.
                Some(mut class)
                    if is_told_its_place(class.described.as_ref(), backend.as_ref()) =>
                {
                    if let Ok(Data {
                        keys: Some(keys), ..
                    }) = &class.data
                    {
                        keys.keep_to(place(backend.as_ref()));
                    }
                    class.described = backend;
                    class
                }
                _ => self.start(&name, backend),
            };
            class.limits = limits.unwrap_or_default();
            self.known.insert(name, class);
        }
        for name in keep {
            if let Some(class) = before.remove(&name) {
                self.known.entry(name).or_insert(class);
            }
        }
    }

    /// The data of a class, however it does: what takes no values may still delete, and so get room.
    pub(super) fn holdings(&self, name: &str) -> Result<Arc<dyn Holdings>, String> {
        Ok(self.data(name)?.holdings)
    }

    fn data(&self, name: &str) -> Result<Data, String> {
        let class = self.known.get(name);
        let class = class.ok_or_else(|| format!("there is no StoreClass `{name}`"))?;
        class.data.clone()
    }

    /// The data of a class, or what is wrong, as far as that is known.
    pub(super) fn usable(&self, name: &str) -> Result<Arc<dyn Holdings>, String> {
        let holdings = self.holdings(name)?;
        self.trouble(name).map_or(Ok(holdings), Err)
    }

    /// The values under keys of a class, or what is wrong, as far as that is known.
    pub(super) fn usable_keys(&self, name: &str) -> Result<Arc<dyn Backend>, String> {
        let keys = self.data(name)?.keys;
        let keys = keys.ok_or_else(|| format!("StoreClass `{name}` holds objects alone"))?;
        self.trouble(name).map_or(Ok(keys), Err)
    }

    /// What is wrong with a class, as far as that is known.
    pub(super) fn trouble(&self, name: &str) -> Option<String> {
        match &*self.known.get(name)?.health.lock() {
            Some(Health::Failing { message, .. }) => {
                Some(format!("StoreClass `{name}`: {message}"))
            }
            _ => None,
        }
    }

    /// Bounds of each Store of a class; `None`: there is no such class.
    pub(super) fn limits(&self, name: &str) -> Option<StoreLimits> {
        let said = self.said_limits(name);
        said.map(|said| wire::limits_from_wire(Some(said)))
    }

    /// The same, 0 where the class says nothing.
    pub(super) fn said_limits(&self, name: &str) -> Option<v1::StoreLimits> {
        self.known.get(name).map(|class| class.limits)
    }

    /// How the classes do of which that is known.
    pub(super) fn health(&self) -> v1::StoreHealth {
        let mut classes: Vec<_> = self.known.iter().filter_map(describe).collect();
        classes.sort_unstable_by(|one, other| one.class.cmp(&other.class));
        v1::StoreHealth { classes }
    }

    fn start(&self, name: &str, described: Option<Message>) -> Class {
        let (data, pace) = match open(described.as_ref(), &self.own) {
            Ok((data, pace)) => (Ok(data), Some(pace)),
            Err(problem) => (Err(problem), None),
        };
        let health = Arc::new(Mutex::new(None));
        let lane = data.clone().ok().zip(pace).map(|(data, pace)| {
            let lane = lane::run(
                name.to_owned(),
                data.holdings,
                pace,
                health.clone(),
                self.of.clone(),
            );
            AbortOnDropHandle::new(tokio::spawn(lane))
        });
        Class {
            described,
            data,
            limits: v1::StoreLimits::default(),
            health,
            _lane: lane,
        }
    }
}

fn describe((name, class): (&String, &Class)) -> Option<v1::ClassHealth> {
    let failing = match &class.data {
        Err(problem) => Some((Reason::InvalidConfiguration, problem.clone())),
        Ok(_) => match class.health.lock().clone()? {
            Health::Reachable => None,
            Health::Failing { reason, message } => Some((reason, message)),
        },
    };
    let reachable = failing.is_none();
    let keys = class.data.as_ref().ok().and_then(|data| data.keys.as_ref());
    let place = keys.filter(|_| reachable).and_then(|keys| keys.place());
    let (reason, message) = failing
        .map(|(reason, message)| (reason.as_str().to_owned(), message))
        .unwrap_or_default();
    Some(v1::ClassHealth {
        class: name.clone(),
        reachable,
        reason,
        message,
        place: place.map(|place| place.to_string()).unwrap_or_default(),
    })
}

/// The place that a class is said to be in.
fn place(described: Option<&Message>) -> Option<PlaceId> {
    match described {
        Some(Message::Postgres(class)) => PlaceId::recorded(&class.place),
        Some(Message::Redis(class)) => PlaceId::recorded(&class.place),
        _ => None,
    }
}

/// Whether `now` differs from `before` in nothing but that it names the place, which was not known.
fn is_told_its_place(before: Option<&Message>, now: Option<&Message>) -> bool {
    if place(before).is_some() {
        return false;
    }
    let mut told = before.cloned();
    match (&mut told, now) {
        (Some(Message::Postgres(told)), Some(Message::Postgres(now))) => {
            told.place.clone_from(&now.place);
        }
        (Some(Message::Redis(told)), Some(Message::Redis(now))) => {
            told.place.clone_from(&now.place);
        }
        _ => {}
    }
    told.as_ref() == now
}

/// The data of a class.
#[derive(Clone)]
struct Data {
    holdings: Arc<dyn Holdings>,
    /// Where there are values under keys.
    keys: Option<Arc<dyn Backend>>,
}

impl Data {
    fn of_keys(keys: Arc<dyn Backend>) -> Self {
        Self {
            holdings: Arc::new(Keys(keys.clone())),
            keys: Some(keys),
        }
    }
}

type Opened = (Data, Pace);

/// Connects nothing yet. Errors say nothing of credentials.
fn open(described: Option<&Message>, own: &Backends) -> Result<Opened, String> {
    match described {
        Some(Message::Embedded(v1::EmbeddedBackend {})) => {
            let all: [Arc<dyn Holdings>; 3] = [
                Arc::new(Keys(own.embedded.clone())),
                Arc::new(Objects(own.blobs.clone())),
                Arc::new(Databases(own.sql.clone())),
            ];
            let data = Data {
                holdings: Arc::new(Every(all.into())),
                keys: Some(own.embedded.clone()),
            };
            Ok((data, Pace::OWN))
        }
        Some(Message::Memory(v1::MemoryBackend {})) => {
            Ok((Data::of_keys(own.memory.clone()), Pace::OWN))
        }
        Some(Message::Postgres(class)) => {
            let mut options = PostgresOptions::from(class.clone());
            options.max_connections = CONNECTIONS.into();
            let postgres = Postgres::new(&options).map_err(|error| error.to_string())?;
            Ok((Data::of_keys(Arc::new(postgres)), Pace::DATABASE))
        }
        Some(Message::Redis(class)) => {
            let mut options = RedisOptions::from(class.clone());
            options.max_connections = CONNECTIONS.into();
            let redis = Redis::new(&options).map_err(|error| error.to_string())?;
            Ok((Data::of_keys(Arc::new(redis)), Pace::DATABASE))
        }
        Some(Message::S3(class)) => {
            let s3 = S3::new(&class.clone().into()).map_err(|error| error.to_string())?;
            let data = Data {
                holdings: Arc::new(Objects(Arc::new(s3))),
                keys: None,
            };
            Ok((data, Pace::BUCKET))
        }
        None => Err("its backend is none that this version knows; upgrade Shoal".to_owned()),
    }
}
