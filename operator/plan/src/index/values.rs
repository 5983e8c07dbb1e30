//! Secrets and ConfigMaps that Apps take values from: what was read of them, while an App refers to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use shoal_crds::{
    SourceKind,
    values::{Source, Sources},
};

use super::Index;
use crate::{AppKey, ObjectKey};

/// An object that values come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceRef {
    /// Its kind.
    pub kind: SourceKind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

/// What came of reading one.
#[derive(Clone, PartialEq, Eq)]
pub enum SourceRead {
    /// It is there.
    Found {
        /// `metadata.resourceVersion`: the same means that nothing changed.
        resource_version: String,
        /// Its `data`, decoded.
        data: BTreeMap<String, Vec<u8>>,
    },
    /// There is none.
    Missing,
    /// It cannot be read; with why.
    Failed(String),
}

/// Keys and sizes, never a value.
impl fmt::Debug for SourceRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found {
                resource_version,
                data,
            } => f
                .debug_struct("Found")
                .field("resource_version", resource_version)
                .field("keys", &data.keys().collect::<Vec<_>>())
                .finish(),
            Self::Missing => f.write_str("Missing"),
            Self::Failed(why) => f.debug_tuple("Failed").field(why).finish(),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ValueSources {
    entries: BTreeMap<SourceRef, Entry>,
    of_apps: BTreeMap<AppKey, BTreeSet<SourceRef>>,
    version: u64,
}

#[derive(Debug, Default)]
struct Entry {
    apps: BTreeSet<AppKey>,
    /// `None`: not read yet.
    read: Option<SourceRead>,
}

impl ValueSources {
    /// An App takes values from these objects and no others. What nobody refers to is forgotten at once.
    pub(crate) fn refer(&mut self, app: &AppKey, sources: BTreeSet<SourceRef>) {
        let before = self.of_apps.get(app);
        if before == Some(&sources) || (before.is_none() && sources.is_empty()) {
            return;
        }
        self.version += 1;
        for gone in before
            .into_iter()
            .flatten()
            .filter(|one| !sources.contains(one))
        {
            if let Some(entry) = self.entries.get_mut(gone) {
                entry.apps.remove(app);
                if entry.apps.is_empty() {
                    self.entries.remove(gone);
                }
            }
        }
        for source in &sources {
            let entry = self.entries.entry(source.clone()).or_default();
            entry.apps.insert(app.clone());
        }
        if sources.is_empty() {
            self.of_apps.remove(app);
        } else {
            self.of_apps.insert(app.clone(), sources);
        }
    }

    /// Forgets every object.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            version: self.version + 1,
            ..Self::default()
        };
    }

    /// The objects of a namespace.
    pub(crate) fn of_namespace<'a>(&'a self, app: &'a AppKey) -> impl Sources + 'a {
        OfNamespace { all: self, app }
    }
}

struct OfNamespace<'a> {
    all: &'a ValueSources,
    app: &'a AppKey,
}

impl Sources for OfNamespace<'_> {
    fn find(&self, kind: SourceKind, name: &str) -> Source<'_> {
        let key = self.app.sibling(name);
        let entry = self.all.entries.get(&SourceRef { kind, key });
        match entry.and_then(|entry| entry.read.as_ref()) {
            None => Source::Unread,
            Some(SourceRead::Missing) => Source::Missing,
            Some(SourceRead::Failed(why)) => Source::Unreadable(why),
            Some(SourceRead::Found { data, .. }) => Source::Found(data),
        }
    }
}

impl Index {
    /// Changes whenever [`Index::value_sources`] does.
    pub fn value_sources_version(&self) -> u64 {
        self.values.version
    }

    /// Every object that Apps take values from: each is to be read again and again, and what came of it
    /// brought here with [`Index::value_source_read`].
    pub fn value_sources(&self) -> BTreeSet<SourceRef> {
        self.values.entries.keys().cloned().collect()
    }

    /// An object was read; returns whether Apps are to be planned for it. That it could not be read changes
    /// nothing if it was read before.
    pub fn value_source_read(&mut self, source: &SourceRef, read: SourceRead) -> bool {
        let Some(entry) = self.values.entries.get_mut(source) else {
            return false;
        };
        let same = match (&entry.read, &read) {
            (
                Some(SourceRead::Found {
                    resource_version, ..
                }),
                SourceRead::Found {
                    resource_version: now,
                    ..
                },
            ) => resource_version == now,
            (Some(SourceRead::Found { .. } | SourceRead::Missing), SourceRead::Failed(_)) => true,
            (before, now) => before.as_ref() == Some(now),
        };
        if !same {
            entry.read = Some(read);
            self.dirty.extend(entry.apps.iter().cloned());
        }
        !same
    }
}
