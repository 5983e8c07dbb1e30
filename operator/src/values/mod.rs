//! Reads the Secrets and ConfigMaps that Apps take values from: by name, one after the other, under a
//! budget, again and again while an App refers to them.
//!
//! They are never listed or watched: that would be a right to all Secrets of the cluster. One read serves
//! all Apps that refer to the object. Only the leader reads; values stay in its memory and go to nodes
//! that serve such an App.

mod read;
mod schedule;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use shoal_plan::{SourceRead, SourceRef};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::lease::Leadership;
use crate::world::World;
use schedule::{Outcome, Schedule, TICK};

/// Reads that may wait for the API server at once.
const AT_ONCE: usize = 32;

/// Brings values to the index.
pub struct Reader {
    client: kube::Client,
    world: Arc<World>,
    leadership: Leadership,
    schedule: Mutex<Schedule>,
    /// Objects that cannot be read, since when.
    failing: Mutex<HashMap<SourceRef, Instant>>,
}

impl Reader {
    /// A reader that knows of no object yet.
    pub fn new(client: kube::Client, world: Arc<World>, leadership: Leadership) -> Arc<Self> {
        Arc::new(Self {
            client,
            world,
            leadership,
            schedule: Mutex::default(),
            failing: Mutex::default(),
        })
    }

    /// Reads what is due, for as long as it is polled.
    pub async fn run(self: Arc<Self>, alive: impl Fn()) {
        let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            alive();
            self.follow();
            let due = self.schedule.lock().due(Instant::now());
            for source in due {
                // A read that hangs ends by its own deadline.
                let Ok(slot) = slots.clone().acquire_owned().await else {
                    return;
                };
                let reader = self.clone();
                tokio::spawn(async move {
                    reader.read(&source).await;
                    drop(slot);
                });
            }
        }
    }

    /// Takes over what Apps refer to now; a replica that does not lead reads nothing.
    fn follow(&self) {
        let leads = self.leadership.epoch().is_some();
        let mut schedule = self.schedule.lock();
        let changed = self.world.with(|index| {
            let version = leads.then(|| index.value_sources_version());
            let changed = schedule.version != version;
            schedule.version = version;
            changed.then(|| match version {
                Some(_) => index.value_sources(),
                None => Default::default(),
            })
        });
        if let Some(sources) = changed {
            self.failing
                .lock()
                .retain(|source, _| sources.contains(source));
            schedule.keep(&sources);
        }
    }

    async fn read(&self, source: &SourceRef) {
        let read = read::object(&self.client, source).await;
        let outcome = match &read {
            SourceRead::Failed(why) => {
                self.tell_failing(source, why);
                Outcome::Failed
            }
            SourceRead::Found { .. } | SourceRead::Missing => {
                self.tell_read(source);
                Outcome::Read
            }
        };
        self.schedule.lock().done(source, outcome, Instant::now());
        let changes = self
            .world
            .with(|index| index.value_source_read(source, read));
        if changes {
            self.world.wake();
        }
    }

    fn tell_failing(&self, source: &SourceRef, why: &str) {
        let mut failing = self.failing.lock();
        if !failing.contains_key(source) {
            warn!(%source, why, "an object that Apps take values from cannot be read; trying again");
            failing.insert(source.clone(), Instant::now());
        }
    }

    fn tell_read(&self, source: &SourceRef) {
        if let Some(since) = self.failing.lock().remove(source) {
            let seconds = since.elapsed().as_secs();
            info!(%source, seconds, "an object that Apps take values from can be read again");
        }
    }
}
