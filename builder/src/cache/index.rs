//! Which files there are, how large, when they were last used, and by whom they are held.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::key;

/// Grants come after the answer that the code is there: until then code counts as granted.
const GRANTED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<String, Entry>,
    bytes: u64,
    clock: u64,
    pins: HashMap<String, usize>,
}

#[derive(Debug)]
struct Entry {
    file_name: String,
    size: u64,
    used: u64,
    since: Instant,
}

/// Keeps a file in the cache while it lives.
#[derive(Debug)]
pub struct Pin {
    index: Arc<Mutex<Index>>,
    name: String,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut index = self.index.lock();
        if let Some(count) = index.pins.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                index.pins.remove(&self.name);
            }
        }
    }
}

impl Index {
    /// `shared`: this index.
    pub(super) fn pin(&mut self, shared: &Arc<Mutex<Self>>, name: String) -> Pin {
        *self.pins.entry(name.clone()).or_default() += 1;
        Pin {
            index: shared.clone(),
            name,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry as the one used last; gives back the file that it replaces.
    pub(super) fn insert(&mut self, name: String, file_name: String, size: u64) -> Option<String> {
        self.clock += 1;
        self.bytes += size;
        let entry = Entry {
            file_name,
            size,
            used: self.clock,
            since: Instant::now(),
        };
        let old = self.entries.insert(name, entry)?;
        self.bytes -= old.size;
        Some(old.file_name)
    }

    /// Marks an entry as used now; gives back its file.
    pub(super) fn touch(&mut self, name: &str) -> Option<String> {
        self.clock += 1;
        let entry = self.entries.get_mut(name)?;
        entry.used = self.clock;
        Some(entry.file_name.clone())
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<String> {
        let entry = self.entries.remove(name)?;
        self.bytes -= entry.size;
        Some(entry.file_name)
    }

    /// Bytes of what is in use.
    pub(super) fn held(&self) -> u64 {
        let held = self.pins.keys().filter_map(|name| self.entries.get(name));
        held.map(|entry| entry.size).sum()
    }

    /// Removes entries until at most `bytes` are left or all that is left is in use: those used
    /// longest ago first, and granted code after everything else. Gives back the files.
    pub(super) fn evict(&mut self, bytes: u64, protection: &dyn Fn(&str) -> bool) -> Vec<String> {
        if self.bytes <= bytes {
            return Vec::new();
        }
        let mut order: Vec<(u64, String)> = self
            .entries
            .iter()
            .filter(|(name, _)| !self.pins.contains_key(*name))
            .map(|(name, entry)| (entry.used, name.clone()))
            .collect();
        order.sort_unstable();
        let (mut removed, mut granted) = (Vec::new(), Vec::new());
        for (_, name) in order {
            if self.bytes <= bytes {
                break;
            }
            if self.is_granted(&name, protection) {
                granted.push(name);
            } else {
                removed.extend(self.remove(&name));
            }
        }
        for name in granted {
            if self.bytes <= bytes {
                break;
            }
            tracing::info!(code = name, "granted code leaves the cache, which is full");
            removed.extend(self.remove(&name));
        }
        removed
    }

    fn is_granted(&self, name: &str, protection: &dyn Fn(&str) -> bool) -> bool {
        let is_new = || {
            let entry = self.entries.get(name);
            entry.is_some_and(|entry| entry.since.elapsed() < GRANTED_WITHIN)
        };
        key::code_of(name).is_some_and(|digest| is_new() || protection(&digest))
    }
}
