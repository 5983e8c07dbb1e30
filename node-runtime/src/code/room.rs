//! Room for mapped code: how much this process may map, and how much it has mapped.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Kernel mappings of the code of one component: read-only, executable, and its image of memory.
pub const MAPPINGS: u64 = 3;
/// Descriptors of the same: its file stays open.
pub const DESCRIPTORS: u64 = 1;

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Kernel mappings (`vm.max_map_count`).
    Mappings,
    /// Open files (`RLIMIT_NOFILE`).
    Descriptors,
    /// Memory that is the process's own: tables about the code, not the code, which stays in its file.
    Bytes,
}

impl Resource {
    pub(crate) const ALL: [Self; 3] = [Self::Mappings, Self::Descriptors, Self::Bytes];

    /// As metrics and messages have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mappings => "code_mappings",
            Self::Descriptors => "code_descriptors",
            Self::Bytes => "code_memory_bytes",
        }
    }
}

/// How much of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Kernel mappings.
    pub mappings: u64,
    /// Open files.
    pub descriptors: u64,
    /// Bytes of the process's own memory.
    pub bytes: u64,
}

impl Amount {
    const NOTHING: Self = Self {
        mappings: 0,
        descriptors: 0,
        bytes: 0,
    };

    fn of(&mut self, resource: Resource) -> &mut u64 {
        match resource {
            Resource::Mappings => &mut self.mappings,
            Resource::Descriptors => &mut self.descriptors,
            Resource::Bytes => &mut self.bytes,
        }
    }

    /// What the code of a component takes whose compiled file has so many bytes: of its own memory a sixteenth of
    /// the file and a few pages, as measured (`docs/performance.md`).
    pub(super) fn of_code(file_bytes: u64) -> Self {
        Self {
            mappings: MAPPINGS,
            descriptors: DESCRIPTORS,
            bytes: (file_bytes / 16).saturating_add(8 << 10),
        }
    }

    pub(super) fn get(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Mappings => self.mappings,
            Resource::Descriptors => self.descriptors,
            Resource::Bytes => self.bytes,
        }
    }
}

/// What is mapped, of what may be.
pub struct Room {
    most: Amount,
    used: [AtomicU64; 3],
}

/// What one component's code takes, until dropped.
pub(super) struct Taken {
    room: Arc<Room>,
    amount: Amount,
}

/// What there is too little of, and how much has to be given back for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) resource: Resource,
    pub(super) by: u64,
}

impl Room {
    pub(super) fn new(most: Amount) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: Default::default(),
        })
    }

    /// Takes room for the code of one component.
    pub(super) fn take(self: &Arc<Self>, amount: Amount) -> Result<Taken, Short> {
        let mut taken = Taken {
            room: Arc::clone(self),
            amount: Amount::NOTHING,
        };
        for (used, resource) in self.used.iter().zip(Resource::ALL) {
            let (wanted, most) = (amount.get(resource), self.most.get(resource));
            let add = |now: u64| now.checked_add(wanted).filter(|sum| *sum <= most);
            if let Err(now) = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
                let by = now.saturating_add(wanted).saturating_sub(most);
                // What it has so far is given back.
                return Err(Short { resource, by });
            }
            *taken.amount.of(resource) = wanted;
        }
        Ok(taken)
    }

    /// How much of it is used, and how much there is.
    pub(crate) fn usage(&self, resource: Resource) -> (u64, u64) {
        let used = self
            .used
            .iter()
            .zip(Resource::ALL)
            .find(|(_, of)| *of == resource)
            .map_or(0, |(used, _)| used.load(Ordering::Relaxed));
        (used, self.most.get(resource))
    }
}

impl Taken {
    pub(super) fn amount(&self) -> Amount {
        self.amount
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for (used, resource) in self.room.used.iter().zip(Resource::ALL) {
            used.fetch_sub(self.amount.get(resource), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_room_is_named_and_changes_nothing() {
        let code = Amount::of_code(1 << 20);
        let most = Amount {
            mappings: 6,
            descriptors: 10,
            bytes: 1 << 30,
        };
        let room = Room::new(most);
        let first = room.take(code).ok().unwrap();
        let second = room.take(code).ok().unwrap();
        let short = Short {
            resource: Resource::Mappings,
            by: 3,
        };
        assert_eq!(room.take(code).err(), Some(short));
        assert_eq!(room.usage(Resource::Mappings), (6, 6));
        assert_eq!(room.usage(Resource::Bytes).0, 2 * code.bytes);
        drop(first);
        assert!(room.take(code).is_ok());
        drop(second);
        assert_eq!(room.usage(Resource::Bytes).0, 0);
        assert_eq!(room.usage(Resource::Descriptors).0, 0);
    }

    #[test]
    fn code_larger_than_all_room_is_refused() {
        let most = Amount {
            mappings: 100,
            descriptors: 100,
            bytes: 1 << 20,
        };
        let short = Room::new(most)
            .take(Amount::of_code(1 << 30))
            .err()
            .unwrap();
        assert_eq!(short.resource, Resource::Bytes);
    }
}
