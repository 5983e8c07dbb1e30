//! Backends that have no room left, as the writes of guests find it: the small one with which a backend is
//! asked how it does may still fit where theirs do not.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Of a place whose free bytes are known: it lasts until there are more of them.
#[derive(Debug, Default)]
struct Shortage(Mutex<Option<u64>>);

impl Shortage {
    /// A write found too little room in `free` bytes.
    fn met(&self, free: u64) {
        let mut most = self.0.lock();
        *most = Some(most.unwrap_or_default().max(free));
    }

    fn was_met(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Whether `free` bytes are no more than a write found too little room in.
    fn lasts(&self, free: u64) -> bool {
        let mut most = self.0.lock();
        if most.is_some_and(|most| free > most) {
            *most = None;
        }
        most.is_some()
    }
}

/// Of a disk: it lasts until more is free than was too little.
#[derive(Debug)]
pub(crate) struct DiskShortage {
    folder: PathBuf,
    shortage: Shortage,
}

impl DiskShortage {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            shortage: Shortage::default(),
        }
    }

    /// A write found too little room on the disk, just now. Blocks on the disk.
    pub(crate) fn met(&self) {
        // A disk that cannot even say that is in no need of being remembered.
        if let Some(free) = free(&self.folder) {
            self.shortage.met(free);
        }
    }

    /// Whether the disk has no more room now. Blocks on the disk.
    pub(crate) fn lasts(&self) -> bool {
        self.shortage.was_met() && free(&self.folder).is_some_and(|free| self.shortage.lasts(free))
    }
}

fn free(folder: &Path) -> Option<u64> {
    Disk::of(folder).ok().map(|disk| disk.free)
}

/// The disk that a folder is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Those that this process may still write.
    pub(crate) free: u64,
}

impl Disk {
    /// Asks the disk. Blocks on it.
    pub(crate) fn of(folder: &Path) -> nix::Result<Self> {
        let disk = nix::sys::statvfs::statvfs(folder)?;
        // The types of these differ between systems.
        #[allow(clippy::unnecessary_cast, reason = "see above")]
        let (unit, all, free) = (
            disk.fragment_size() as u64,
            disk.blocks() as u64,
            disk.blocks_available() as u64,
        );
        Ok(Self {
            bytes: unit.saturating_mul(all),
            free: unit.saturating_mul(free),
        })
    }
}

/// A write that was refused counts for so long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Writes for which there was no room a short while ago, in a place of which that is all that is known.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Option<(u64, Instant)>>);

impl Refusals {
    /// A write of `bytes` bytes found no room.
    pub(crate) fn met(&self, bytes: u64, now: Instant) {
        let before = self.largest(now).unwrap_or_default();
        *self.0.lock() = Some((before.max(bytes), now));
    }

    /// A write of `bytes` bytes was done: there is room for that many.
    pub(crate) fn passed(&self, bytes: u64) {
        let mut largest = self.0.lock();
        if largest.is_some_and(|(refused, _)| bytes >= refused) {
            *largest = None;
        }
    }

    /// Bytes of the largest write for which there may be no room still.
    pub(crate) fn largest(&self, now: Instant) -> Option<u64> {
        let (bytes, at) = (*self.0.lock())?;
        (now.saturating_duration_since(at) < REMEMBERED).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_lasts_until_there_is_more_room_than_was_too_little() {
        let shortage = Shortage::default();
        assert!(!shortage.lasts(0));
        shortage.met(10);
        shortage.met(5);
        assert!(shortage.lasts(3) && shortage.lasts(10));
        assert!(!shortage.lasts(11));
        assert!(!shortage.lasts(3), "what was refused before is forgotten");
    }

    #[test]
    fn a_disk_says_how_much_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::of(folder.path()).unwrap();
        assert!(disk.free <= disk.bytes && disk.bytes > 0, "{disk:?}");
        assert!(!DiskShortage::of(&folder.path().join("none")).lasts());
    }

    #[test]
    fn a_refusal_counts_until_a_write_as_large_is_done_and_not_for_ever() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        refusals.passed(0);
        assert_eq!(refusals.largest(now), None);
        refusals.met(100, now);
        refusals.met(10, now);
        refusals.passed(99);
        assert_eq!(refusals.largest(now), Some(100));
        let later = now + REMEMBERED;
        assert_eq!(refusals.largest(later), None);
        refusals.met(10, later);
        assert_eq!(refusals.largest(later), Some(10));
        refusals.passed(10);
        assert_eq!(refusals.largest(later), None);
    }
}
