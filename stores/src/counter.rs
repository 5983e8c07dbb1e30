//! What `increment` means, the same in every backend.

use crate::{KeyValueError, StoreLimits, limits};

/// Most bytes that the text of an `i64` has: `-9223372036854775808`.
pub(crate) const LONGEST: u64 = 20;

/// `delta` more than the integer in `held` (absent counts as 0).
///
/// # Errors
/// `held` is no decimal integer, the sum is beyond the range of one, or its text is over the limit.
pub(crate) fn add(
    held: Option<&[u8]>,
    delta: i64,
    limits: StoreLimits,
) -> Result<i64, KeyValueError> {
    let old = match held {
        None => Some(0),
        Some(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<i64>().ok()),
    };
    let new = old
        .and_then(|old| old.checked_add(delta))
        .ok_or(KeyValueError::NotAnInteger)?;
    limits::check_value(new.to_string().len(), limits)?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimal_integers_within_range_and_limit_are_added_to() {
        let limits = StoreLimits::default();
        let sum = |held: &'static str, delta| add(Some(held.as_bytes()), delta, limits);
        assert_eq!(add(None, -3, limits), Ok(-3));
        assert_eq!(sum("+007", 1), Ok(8));
        assert_eq!(sum("-0", 0), Ok(0));
        for text in [
            "",
            "+",
            " 1",
            "1 ",
            "1\n",
            "1_000",
            "0x1",
            "1.0",
            "9223372036854775808",
        ] {
            assert_eq!(sum(text, 0), Err(KeyValueError::NotAnInteger), "{text:?}");
        }
        assert_eq!(
            sum("9223372036854775807", 1),
            Err(KeyValueError::NotAnInteger)
        );
        let two = StoreLimits {
            value_bytes: 2,
            ..limits
        };
        assert_eq!(add(Some(b"98"), 1, two), Ok(99));
        assert!(matches!(
            add(Some(b"99"), 1, two),
            Err(KeyValueError::LimitExceeded(_))
        ));
        assert_eq!(i64::MIN.to_string().len() as u64, LONGEST);
    }
}
