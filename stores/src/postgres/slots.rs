//! Which of a Store's counts a write takes, and with them its turn.
//!
//! The counts of a Store are several rows, and each key belongs to one of them. A write first locks the
//! rows of its keys, and then sees all that was committed to these keys, so that what it counts is
//! exact; writes to keys of other rows go on meanwhile. A write under limits of the whole Store takes
//! one more row before, which all such writes share.

use std::collections::BTreeSet;

use crate::StoreLimits;

/// Rows for keys, numbered from 1.
const ROWS: u64 = 16;
/// The row of writes under limits. The lowest, since rows are locked in their order.
const GATE: u64 = 0;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots(BTreeSet<u64>);

impl Slots {
    /// Of a write to `keys`.
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(keys.into_iter().map(row).collect())
    }

    /// Of a write to any key.
    pub(crate) fn all() -> Self {
        Self((1..=ROWS).collect())
    }

    /// As this, under `limits`.
    pub(crate) fn under(mut self, limits: StoreLimits) -> Self {
        if limits.keys.is_some() || limits.bytes.is_some() {
            self.0.insert(GATE);
        }
        self
    }

    /// As this, and no write under limits of the whole Store meanwhile.
    pub(crate) fn and_gate(mut self) -> Self {
        self.0.insert(GATE);
        self
    }

    /// In the order in which they are locked.
    pub(crate) fn list(&self) -> Vec<i16> {
        self.0
            .iter()
            .filter_map(|slot| i16::try_from(*slot).ok())
            .collect()
    }
}

/// FNV-1a: every node and every version must find the same row.
fn row(key: &str) -> u64 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Its halves folded: of short keys the upper ones differ little.
    1 + (hash ^ (hash >> 32)) % ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_in_their_order_and_the_gate_first() {
        let names = |keys: &[&str]| Slots::of(keys.iter().copied());
        assert_eq!(names(&["a"]), names(&["a", "a"]));
        let all: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(Slots::of(all.iter().map(String::as_str)), Slots::all());
        assert_eq!(Slots::all().list(), (1..=16).collect::<Vec<_>>());
        let limits = StoreLimits {
            keys: Some(1),
            ..StoreLimits::default()
        };
        assert_eq!(names(&["a"]).under(limits).list().first(), Some(&0));
        assert_eq!(names(&["a"]).under(StoreLimits::default()), names(&["a"]));
        assert_eq!(names(&["a"]).under(limits).list().len(), 2);
    }

    #[test]
    fn the_row_of_a_key_never_changes() {
        // The hash of these is in FNV's own list of tests.
        let folded = |hash: u64| 1 + (hash ^ (hash >> 32)) % ROWS;
        assert_eq!(row(""), folded(0xcbf2_9ce4_8422_2325));
        assert_eq!(row("foobar"), folded(0x8594_4171_f739_67e8));
    }
}
