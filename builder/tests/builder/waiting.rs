//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Polls until `condition` gives something; panics after three minutes.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited three minutes for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
