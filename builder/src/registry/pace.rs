//! How fast a registry has to be.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::RegistryError;

/// Time that a blob is measured over, without what this side takes.
const WINDOW: Duration = Duration::from_secs(30);
/// What comes at least within it, but for the end of a blob.
const WINDOW_BYTES: u64 = 1 << 20;

/// Measures one blob. A registry that gives a byte now and then keeps its place among those that are
/// pulled from no longer than one that says nothing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Waits for the next part of the blob, while it comes fast enough.
    pub(super) async fn keep<T: AsRef<[u8]>>(
        &mut self,
        next: impl Future<Output = reqwest::Result<Option<T>>>,
    ) -> Result<Option<T>, RegistryError> {
        tokio::pin!(next);
        loop {
            let (started, left) = (Instant::now(), WINDOW.saturating_sub(self.waited));
            match timeout(left, &mut next).await {
                Ok(part) => {
                    let part = part?;
                    if let Some(part) = &part {
                        self.came(started.elapsed(), part.as_ref().len() as u64)?;
                    }
                    return Ok(part);
                }
                Err(_) => self.came(left, 0)?,
            }
        }
    }

    fn came(&mut self, waited: Duration, bytes: u64) -> Result<(), RegistryError> {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < WINDOW {
            return Ok(());
        }
        let came = std::mem::take(self).bytes;
        if came >= WINDOW_BYTES {
            return Ok(());
        }
        let (kib, seconds) = (WINDOW_BYTES >> 10, WINDOW.as_secs());
        let message = format!("it gave less than {kib} KiB of a blob within {seconds} s");
        Err(RegistryError::Unavailable(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of `bytes` each, one every 10 s; how many are taken of at most 100.
    fn taken(bytes: u64) -> usize {
        let mut pace = Pace::default();
        let parts = std::iter::repeat_n(bytes, 100);
        parts
            .take_while(|bytes| pace.came(Duration::from_secs(10), *bytes).is_ok())
            .count()
    }

    #[test]
    fn who_gives_too_little_is_given_up_and_who_is_slow_is_not() {
        assert_eq!(taken(1), 2);
        assert_eq!(taken(WINDOW_BYTES / 3 + 1), 100);
    }

    #[test]
    fn each_window_counts_for_itself() {
        let mut pace = Pace::default();
        pace.came(WINDOW, 100 * WINDOW_BYTES).unwrap();
        pace.came(WINDOW / 2, 1).unwrap();
        pace.came(WINDOW / 2, 1).unwrap_err();
    }

    #[tokio::test]
    async fn what_came_and_the_end_are_handed_on() {
        let mut pace = Pace::default();
        let part = pace.keep(async { Ok(Some(b"part")) }).await.unwrap();
        assert_eq!(part, Some(b"part"));
        assert_eq!(pace.bytes, 4);
        let end = pace.keep(async { Ok(None::<&[u8]>) }).await.unwrap();
        assert!(end.is_none());
    }
}
