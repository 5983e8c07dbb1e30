//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a poll pauses between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `look` finds a value, at most for `limit`.
///
/// `look` answers `Ok(Err(why))` while the condition does not hold; the last `why` is in the
/// error when time is up.
///
/// # Errors
/// What `look` fails with, at once; or that `what` did not come true in time.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<std::result::Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let why = match look()? {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        if Instant::now() >= deadline {
            bail!("{what} did not happen within {} s: {why}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_in_the_error() {
        let error = until::<()>("the flood", Duration::ZERO, || {
            Ok(Err("no rain".to_owned()))
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "the flood did not happen within 0 s: no rain"
        );
    }

    #[test]
    fn a_value_ends_the_wait() {
        let mut looks = 0;
        let value = until("the third look", Duration::from_secs(600), || {
            looks += 1;
            Ok(if looks == 3 {
                Ok(looks)
            } else {
                Err("too early".to_owned())
            })
        });
        assert_eq!(value.unwrap(), 3);
    }
}
