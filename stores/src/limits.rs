//! Bounds that hold for every backend, whatever a Store's own limits are.

use bytes::Bytes;

use crate::{KeyValueError, StoreLimits};

/// Most keys or pairs of one call.
pub const MAX_KEYS_PER_CALL: usize = 1000;
/// Most bytes of keys and values that one call carries, either way: as much as a guest can give in one
/// call.
pub const MAX_BYTES_PER_CALL: usize = 8 * 1024 * 1024;
/// Most keys of one page of a listing.
pub const MAX_PAGE_KEYS: u32 = 1000;
/// Most bytes of the keys of one page.
pub const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Refuses more keys than one call may name, or keys of more bytes in all than one may carry.
pub(crate) fn check_keys(keys: &[String]) -> Result<(), KeyValueError> {
    check_count(keys.len())?;
    check_call_bytes(keys.iter().map(String::len).sum())
}

/// Refuses pairs that one call may not set under `limits`.
pub(crate) fn check_pairs(
    pairs: &[(String, Bytes)],
    limits: StoreLimits,
) -> Result<(), KeyValueError> {
    check_count(pairs.len())?;
    for (key, value) in pairs {
        check_key(key, limits)?;
        check_value(value.len(), limits)?;
    }
    check_call_bytes(
        pairs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum(),
    )
}

/// Refuses a key that may not be written under `limits`.
pub(crate) fn check_key(key: &str, limits: StoreLimits) -> Result<(), KeyValueError> {
    if key.is_empty() {
        return Err(KeyValueError::LimitExceeded(
            "a key has at least one byte".to_owned(),
        ));
    }
    at_most("bytes in a key", key.len() as u64, limits.key_bytes)
}

/// Refuses a value of `bytes` bytes that may not be written under `limits`.
pub(crate) fn check_value(bytes: usize, limits: StoreLimits) -> Result<(), KeyValueError> {
    at_most("bytes in a value", bytes as u64, limits.value_bytes)
}

/// Refuses what is more than one call may carry.
pub(crate) fn check_call_bytes(bytes: usize) -> Result<(), KeyValueError> {
    at_most(
        "bytes of keys and values in one call",
        bytes as u64,
        MAX_BYTES_PER_CALL as u64,
    )
}

fn check_count(keys: usize) -> Result<(), KeyValueError> {
    at_most("keys in one call", keys as u64, MAX_KEYS_PER_CALL as u64)
}

/// Refuses `count` of something that has a limit.
pub(crate) fn at_most(what: &str, count: u64, limit: u64) -> Result<(), KeyValueError> {
    if count > limit {
        return Err(KeyValueError::LimitExceeded(format!(
            "{count} {what} are more than the limit of {limit}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StoreLimits = StoreLimits {
        key_bytes: 4,
        value_bytes: 5,
        keys: None,
        bytes: None,
    };

    #[test]
    fn what_is_at_the_limit_passes_and_one_more_does_not() {
        assert!(check_key("four", LIMITS).is_ok());
        assert!(check_key("five!", LIMITS).is_err());
        assert!(check_key("", LIMITS).is_err());
        assert!(
            check_key("äö", LIMITS).is_ok(),
            "bytes count, not characters"
        );
        assert!(check_key("äöü", LIMITS).is_err());
        assert!(check_value(5, LIMITS).is_ok());
        assert!(check_value(6, LIMITS).is_err());
        assert!(check_keys(&vec![String::new(); MAX_KEYS_PER_CALL]).is_ok());
        assert!(check_keys(&vec![String::new(); MAX_KEYS_PER_CALL + 1]).is_err());
    }

    #[test]
    fn one_call_carries_a_bounded_number_of_bytes() {
        let limits = StoreLimits {
            key_bytes: 10,
            value_bytes: u64::MAX,
            ..StoreLimits::default()
        };
        let half = Bytes::from(vec![0; MAX_BYTES_PER_CALL / 2]);
        assert!(check_pairs(&[("a".into(), half.clone())], limits).is_ok());
        let error =
            check_pairs(&[("a".into(), half.clone()), ("b".into(), half)], limits).unwrap_err();
        assert!(error.to_string().contains("8388608"), "{error}");
    }
}
