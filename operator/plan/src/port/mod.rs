//! One port per app: 10000 to 32767 without 15000 to 15090 (mesh sidecars), unique in the pool.
//!
//! A freed port rests for ten minutes, so that a slow kube-proxy never delivers to the wrong app. Nothing is
//! written when a port is freed: ports are handed out from blocks of 128, and a block is recorded before its
//! first port is used. Whoever leads next lets every unused port of a recorded block rest once more; ports of
//! other blocks were never used.

mod record;

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::AppKey;
pub use record::{PORT_RECORD_NAME, PortRecord};

const FIRST_PORT: u16 = 10_000;
const LAST_PORT: u16 = 32_767;
const FIRST_RESERVED: u16 = 15_000;
const LAST_RESERVED: u16 = 15_090;
/// How many ports there are, and so how many apps a node can have.
pub const PORTS: usize =
    (LAST_PORT - FIRST_PORT + 1) as usize - (LAST_RESERVED - FIRST_RESERVED + 1) as usize;
/// Ports are handed out from blocks of `1 << BLOCK_BITS`.
const BLOCK_BITS: u16 = 7;
/// How long a freed port is not used again.
pub(crate) const REST: SignedDuration = SignedDuration::from_mins(10);

/// Who holds a port. Of two claims the older App's counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder {
    /// `metadata.creationTimestamp`
    pub(crate) created: Timestamp,
    /// `metadata.uid`
    pub(crate) uid: String,
    /// The App.
    pub(crate) app: AppKey,
}

/// What an App that asks for a port gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// This port, and it may be used.
    Port(u16),
    /// A port, once its block is recorded; the App is planned again then.
    Reserving,
    /// None until then; `None`: until an App is deleted.
    Exhausted(Option<Timestamp>),
}

/// Which app has which port.
#[derive(Debug, Default)]
pub(crate) struct PortAllocator {
    holders: HashMap<u16, Holder>,
    ports: HashMap<String, u16>,
    /// Unused ports of wanted blocks, by the time at which they have rested.
    free: BTreeSet<(Timestamp, u16)>,
    rested_at: HashMap<u16, Timestamp>,
    /// Blocks that are to be recorded.
    wanted: BTreeSet<u16>,
    /// Blocks that the record holds.
    recorded: BTreeSet<u16>,
    /// Recorded blocks that were wanted all the while: their ports may be used.
    usable: BTreeSet<u16>,
    waiting: BTreeSet<AppKey>,
}

fn is_app_port(port: u16) -> bool {
    (FIRST_PORT..=LAST_PORT).contains(&port) && !(FIRST_RESERVED..=LAST_RESERVED).contains(&port)
}

fn block_of(port: u16) -> u16 {
    port >> BLOCK_BITS
}

fn blocks() -> impl Iterator<Item = u16> {
    block_of(FIRST_PORT)..=block_of(LAST_PORT)
}

fn ports_of(block: u16) -> impl Iterator<Item = u16> {
    let first = block << BLOCK_BITS;
    (first..=first | ((1 << BLOCK_BITS) - 1)).filter(|port| is_app_port(*port))
}

impl PortAllocator {
    /// As it is right after taking over: every port of a recorded block rests.
    pub(crate) fn recorded(record: &BTreeSet<u16>, now: Timestamp) -> Self {
        let mut allocator = Self::default();
        for block in blocks().filter(|block| record.contains(block)) {
            allocator.want(block, now + REST);
        }
        allocator.recorded.clone_from(&allocator.wanted);
        allocator.usable.clone_from(&allocator.wanted);
        allocator
    }

    /// Takes note that an App's objects say it has this port. The claim of the older App counts; returns the one
    /// that has lost its port. A number that is no app's port is no claim.
    pub(crate) fn claim(&mut self, port: u16, claimant: Holder, now: Timestamp) -> Option<AppKey> {
        if !is_app_port(port) {
            return None;
        }
        // In use although not recorded: the record was lost, and who else used the block is not known.
        self.want(block_of(port), now + REST);
        if self.ports.contains_key(&claimant.uid) {
            return None;
        }
        if self
            .holders
            .get(&port)
            .is_some_and(|holder| *holder < claimant)
        {
            return Some(claimant.app);
        }
        self.take(port, claimant).map(|loser| loser.app)
    }

    /// The port of the App with this uid, if it may be used.
    pub(crate) fn of(&self, uid: &str) -> Option<u16> {
        self.ports.get(uid).copied()
    }

    /// The port of the App, its old one or a new one; the one that has rested longest first.
    pub(crate) fn allocate(&mut self, holder: Holder, now: Timestamp) -> Allocation {
        if let Some(port) = self.of(&holder.uid) {
            return self.usable(port, &holder.app);
        }
        if self
            .free
            .first()
            .is_none_or(|(rested_at, _)| *rested_at > now)
            && let Some(block) = blocks().find(|block| !self.wanted.contains(block))
        {
            self.want(block, Timestamp::MIN);
        }
        let Some((rested_at, port)) = self.free.first().copied() else {
            return Allocation::Exhausted(None);
        };
        if rested_at > now {
            return Allocation::Exhausted(Some(rested_at));
        }
        let app = holder.app.clone();
        self.take(port, holder);
        self.usable(port, &app)
    }

    /// The App with this uid is gone: its port rests.
    pub(crate) fn free(&mut self, uid: &str, now: Timestamp) {
        let Some(port) = self.ports.remove(uid) else {
            return;
        };
        if let Some(holder) = self.holders.remove(&port) {
            self.waiting.remove(&holder.app);
        }
        self.rest(port, now + REST);
    }

    /// What is to be recorded, if it differs from what is.
    pub(crate) fn unrecorded(&mut self, now: Timestamp) -> Option<BTreeSet<u16>> {
        self.release(now);
        (self.wanted != self.recorded).then(|| self.wanted.clone())
    }

    /// `record` is recorded. Returns the Apps that waited for it.
    pub(crate) fn confirm(&mut self, record: &BTreeSet<u16>) -> BTreeSet<AppKey> {
        self.recorded.clone_from(record);
        self.usable = self.wanted.intersection(record).copied().collect();
        std::mem::take(&mut self.waiting)
    }

    fn usable(&mut self, port: u16, app: &AppKey) -> Allocation {
        if self.usable.contains(&block_of(port)) {
            return Allocation::Port(port);
        }
        self.waiting.insert(app.clone());
        Allocation::Reserving
    }

    fn take(&mut self, port: u16, holder: Holder) -> Option<Holder> {
        if let Some(rested_at) = self.rested_at.remove(&port) {
            self.free.remove(&(rested_at, port));
        }
        self.ports.insert(holder.uid.clone(), port);
        let loser = self.holders.insert(port, holder)?;
        self.ports.remove(&loser.uid);
        Some(loser)
    }

    fn rest(&mut self, port: u16, until: Timestamp) {
        self.rested_at.insert(port, until);
        self.free.insert((until, port));
    }

    fn want(&mut self, block: u16, rested_at: Timestamp) {
        if self.wanted.insert(block) {
            for port in ports_of(block) {
                self.rest(port, rested_at);
            }
        }
    }

    /// Gives up blocks of which every port has rested, but for one in reserve.
    fn release(&mut self, now: Timestamp) {
        let unused: Vec<u16> = self
            .wanted
            .iter()
            .copied()
            .filter(|block| {
                ports_of(*block).all(|port| self.rested_at.get(&port).is_some_and(|at| *at <= now))
            })
            .skip(1)
            .collect();
        for block in unused {
            self.wanted.remove(&block);
            self.usable.remove(&block);
            for port in ports_of(block) {
                if let Some(rested_at) = self.rested_at.remove(&port) {
                    self.free.remove(&(rested_at, port));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
