//! The Stores of one class, counted again and again, and how the class does.
//!
//! Each class has a lane of its own, so that one whose backend does not answer holds up no other.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Housekeeping, holdings::Holdings};
use crate::{Health, StoreId};

/// How often the Stores of a class are counted, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// A round begins no sooner than this after the one before.
    pub(super) round: Duration,
    /// Rest after each Store.
    pub(super) rest: Duration,
}

impl Pace {
    /// In this pod: the backend knows its counts.
    pub(super) const OWN: Self = Self {
        round: Duration::from_secs(10),
        rest: Duration::ZERO,
    };
    /// In a bucket, which has to be listed for it.
    pub(super) const BUCKET: Self = Self {
        round: Duration::from_secs(10 * 60),
        rest: Duration::from_millis(500),
    };
    /// In a database, for which each count is a query: 20 in a second at most.
    pub(super) const DATABASE: Self = Self {
        round: Duration::from_secs(60),
        rest: Duration::from_millis(50),
    };
}

/// A class that fails is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// So many Stores in a row that cannot be counted end a round: it is not they that are in the way.
const IN_A_ROW: u32 = 5;

/// Counts the Stores of a class for as long as it is polled and `of` is there.
pub(super) async fn run(
    class: String,
    backend: Arc<dyn Holdings>,
    pace: Pace,
    health: Arc<Mutex<Option<Health>>>,
    of: Weak<Housekeeping>,
) {
    let mut last = None;
    loop {
        let begun = Instant::now();
        let now = backend.health().await;
        let is_well = now == Health::Reachable;
        let Some(housekeeping) = of.upgrade() else {
            return;
        };
        if health.lock().replace(now.clone()) != Some(now) {
            housekeeping.health_changed();
        }
        // Whatever its health: one that takes no values may still count.
        last = round(&class, &*backend, pace, &housekeeping, last).await;
        drop(housekeeping);
        let is_whole = is_well && last.is_none();
        let again = if is_whole { pace.round } else { ASK_AGAIN };
        sleep_until(begun + again).await;
    }
}

/// Counts the Stores of the class that follow after `last`, each once. Returns after which one to go on, if not all
/// were come by.
async fn round(
    class: &str,
    backend: &dyn Holdings,
    pace: Pace,
    of: &Housekeeping,
    mut last: Option<StoreId>,
) -> Option<StoreId> {
    let mut failed = 0;
    while failed < IN_A_ROW {
        let store = of.duties.lock().next(class, last)?;
        match backend.usage(store).await {
            Ok(usage) => {
                failed = 0;
                if of.duties.lock().has(store) {
                    of.counted(store, usage);
                }
            }
            Err(error) => {
                failed += 1;
                tracing::debug!(class, %store, %error, "a store cannot be counted");
            }
        }
        last = Some(store);
        if pace.rest.is_zero() {
            tokio::task::yield_now().await;
        } else {
            sleep(pace.rest).await;
        }
    }
    last
}
