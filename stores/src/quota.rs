//! What one Store may hold in all, and what a write changes of it: the same in every backend.

use crate::{KeyValueError, StoreLimits, Usage, limits};

/// What a write adds to a Store; negative: what it frees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) keys: i64,
    pub(crate) bytes: i64,
}

impl Change {
    /// Of a key of `key` bytes that held `old` bytes, or did not exist, and holds `new` now, or no longer
    /// exists.
    pub(crate) fn of(key: usize, old: Option<usize>, new: Option<usize>) -> Self {
        let one = |value: Option<usize>| Self {
            keys: i64::from(value.is_some()),
            bytes: value.map_or(0, |value| signed(key + value)),
        };
        let (old, new) = (one(old), one(new));
        Self {
            keys: new.keys - old.keys,
            bytes: new.bytes - old.bytes,
        }
    }

    /// This and `other` together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Usage {
    /// What is held after `change`.
    pub(crate) fn after(self, change: Change) -> Self {
        Self {
            keys: self.keys.saturating_add_signed(change.keys),
            bytes: self.bytes.saturating_add_signed(change.bytes),
        }
    }
}

/// Refuses a write that makes a Store grow beyond `limits`. One that is over them already may shrink,
/// and change what it has within the same room.
pub(crate) fn check(held: Usage, change: Change, limits: StoreLimits) -> Result<(), KeyValueError> {
    let after = held.after(change);
    if let Some(limit) = limits.keys
        && change.keys > 0
    {
        limits::at_most("keys in one store", after.keys, limit)?;
    }
    if let Some(limit) = limits.bytes
        && change.bytes > 0
    {
        limits::at_most("bytes of keys and values in one store", after.bytes, limit)?;
    }
    Ok(())
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Usage = Usage {
        keys: 10,
        bytes: 100,
    };

    fn limited(keys: u64, bytes: u64) -> StoreLimits {
        StoreLimits {
            keys: Some(keys),
            bytes: Some(bytes),
            ..StoreLimits::default()
        }
    }

    #[test]
    fn a_change_is_what_comes_less_what_goes() {
        let change = |keys, bytes| Change { keys, bytes };
        assert_eq!(Change::of(3, None, Some(7)), change(1, 10));
        assert_eq!(Change::of(3, Some(7), None), change(-1, -10));
        assert_eq!(Change::of(3, Some(7), Some(2)), change(0, -5));
        assert_eq!(Change::of(3, None, None), Change::default());
        assert_eq!(change(1, 10).and(change(-1, -4)), change(0, 6));
        assert_eq!(HELD.after(change(-1, -4)), Usage { keys: 9, bytes: 96 });
    }

    #[test]
    fn only_what_grows_is_held_against_a_limit() {
        let refused = |change, limits| match check(HELD, change, limits) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        let grow = Change { keys: 1, bytes: 9 };
        assert_eq!(refused(grow, StoreLimits::default()), "");
        assert_eq!(refused(grow, limited(11, 109)), "");
        assert_eq!(
            refused(grow, limited(10, 109)),
            "11 keys in one store are more than the limit of 10"
        );
        assert_eq!(
            refused(grow, limited(11, 108)),
            "109 bytes of keys and values in one store are more than the limit of 108"
        );
        // Over both limits: smaller, or another key in the room of one.
        assert_eq!(refused(Change { keys: 0, bytes: -1 }, limited(1, 1)), "");
        assert_eq!(refused(Change { keys: 0, bytes: 0 }, limited(1, 1)), "");
        assert_ne!(refused(Change { keys: 0, bytes: 1 }, limited(1, 1)), "");
        assert_ne!(refused(Change { keys: 1, bytes: 0 }, limited(1, 1)), "");
    }
}
