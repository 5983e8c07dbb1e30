//! How a backend is, asked at most every few seconds however many nodes want to know.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use crate::Health;

/// What is known counts for this long.
const COUNTS: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<(Instant, Health)>>);

impl Known {
    /// What is known; `ask` where that is nothing, or old.
    pub(super) async fn or(&self, ask: impl Future<Output = Health>) -> Health {
        let mut known = self.0.lock().await;
        match &*known {
            Some((at, health)) if at.elapsed() < COUNTS => health.clone(),
            _ => {
                let health = ask.await;
                *known = Some((Instant::now(), health.clone()));
                health
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[tokio::test]
    async fn one_answer_serves_all_who_ask_at_the_same_time() {
        let known = Known::default();
        let failing = Health::failing(Reason::ReadOnly, "full");
        assert_eq!(known.or(async { failing.clone() }).await, failing);
        let asked_again = known.or(async { Health::Reachable }).await;
        assert_eq!(asked_again, failing);
    }
}
