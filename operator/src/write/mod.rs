//! The one way in which this process changes Apps' objects: prioritised, under a budget, only while it leads.

pub mod budget;
pub mod execute;
pub mod queue;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shoal_plan::{AppKey, Priority, Write, WriteAction};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use crate::lease::Leadership;
use crate::metrics::{Metrics, QueueLabels};
use crate::world::World;
use budget::Budget;
use execute::{Answer, Executor, TIMEOUT, WriteError, op};
use queue::Queue;

/// Apps that are written at once.
const AT_ONCE: usize = 32;
/// And so many more of which endpoints are to be removed.
const RESERVED: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Takes plans' writes and sends them.
pub struct Writer<E> {
    executor: E,
    world: Arc<World>,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    work: Notify,
    slots: Arc<Semaphore>,
    /// For what is urgent while all slots wait for the budget.
    reserved: Arc<Semaphore>,
}

/// The writes of an App, taken out of the queue.
struct Work {
    app: AppKey,
    writes: Vec<Write>,
    slot: OwnedSemaphorePermit,
    in_part: bool,
}

struct State {
    queue: Queue<AppKey, Priority, Vec<Write>>,
    budget: Budget,
    /// Apps that were touched while they were being written: to be planned once that is done.
    again: std::collections::HashSet<AppKey>,
    failures: HashMap<AppKey, Failures>,
}

/// Writes of an App that failed in a row.
#[derive(Default)]
struct Failures {
    count: u32,
    /// The App will be touched by itself.
    scheduled: bool,
}

impl<E: Executor> Writer<E> {
    /// Writes with `executor` while `leadership` lasts.
    pub fn new(
        executor: E,
        world: Arc<World>,
        leadership: Leadership,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let state = State {
            queue: Queue::default(),
            budget: Budget::new(Instant::now()),
            again: std::collections::HashSet::new(),
            failures: HashMap::new(),
        };
        Arc::new(Self {
            executor,
            world,
            leadership,
            metrics,
            state: Mutex::new(state),
            work: Notify::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            reserved: Arc::new(Semaphore::new(RESERVED)),
        })
    }

    /// Whether the App may be planned now. If not (its writes are on their way), it is touched again once they are
    /// done: a plan never looks at an index that lacks what the plan before it wrote.
    pub fn may_plan(&self, app: &AppKey) -> bool {
        let mut state = self.state.lock();
        let running = state.queue.is_running(app);
        if running {
            state.again.insert(app.clone());
        }
        !running
    }

    /// What the newest plan of an App wants written, in order; replaces what an older one wanted.
    pub fn submit(&self, app: AppKey, writes: Vec<Write>) {
        let mut state = self.state.lock();
        if state.queue.is_running(&app) {
            // The plan before this one began to be written meanwhile: this one lacks what comes of it.
            state.again.insert(app);
            return;
        }
        match writes.iter().map(|write| write.priority).min() {
            None => {
                state.queue.cancel(&app);
                state.failures.remove(&app);
            }
            Some(priority) => {
                state.queue.push(app, priority, writes);
                self.work.notify_one();
            }
        }
        self.gauge(&state);
    }

    /// Forgets everything that waits: this replica does not lead any more.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.queue.clear();
        state.failures.clear();
        self.gauge(&state);
    }

    /// Whether nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.state.lock().queue.is_idle()
    }

    fn gauge(&self, state: &State) {
        for (priority, name) in [
            (Priority::Remove, "remove"),
            (Priority::Add, "add"),
            (Priority::Cosmetic, "cosmetic"),
        ] {
            let depth = i64::try_from(state.queue.depth(priority)).unwrap_or(i64::MAX);
            let labels = QueueLabels { priority: name };
            self.metrics.queue_depth.get_or_create(&labels).set(depth);
        }
    }

    /// Sends what is submitted, for as long as it is polled.
    pub async fn run(self: &Arc<Self>, alive: impl Fn()) {
        loop {
            alive();
            let Some(work) = self.next() else {
                // Wakes now and then so that the loop is seen to turn.
                let _ = tokio::time::timeout(Duration::from_secs(2), self.work.notified()).await;
                continue;
            };
            let writer = self.clone();
            tokio::spawn(async move {
                writer.write_app(&work.app, work.writes, work.in_part).await;
                drop(work.slot);
                writer.work.notify_one();
            });
        }
    }

    /// The most urgent work, if there is a slot for it. Work in a reserved slot is what is urgent of it alone: the
    /// rest may wait for the budget, and would keep the slot from what is urgent for others.
    fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        let priority = state.queue.peek()?;
        let (slot, in_part) = match self.slots.clone().try_acquire_owned() {
            Ok(slot) => (slot, false),
            Err(_) if priority != Priority::Remove => return None,
            Err(_) => (self.reserved.clone().try_acquire_owned().ok()?, true),
        };
        let (app, _, mut writes) = state.queue.pop()?;
        self.gauge(&state);
        if in_part {
            writes.retain(|write| write.priority == Priority::Remove);
        }
        Some(Work {
            app,
            writes,
            slot,
            in_part,
        })
    }

    /// `in_part`: there was more to write, which is planned again.
    async fn write_app(self: &Arc<Self>, app: &AppKey, writes: Vec<Write>, in_part: bool) {
        let result = self.write_all(app, &writes).await;
        let touch = {
            let mut state = self.state.lock();
            state.queue.done(app);
            state.again.remove(app) || in_part
        };
        match result {
            Ok(()) => {
                self.state.lock().failures.remove(app);
                if touch {
                    self.world.change(|index| index.touch(app));
                }
            }
            Err(error) => self.failed(app, &error),
        }
    }

    /// Sends writes in order. After one that failed those that may build on it are left, and what is to be told about
    /// the App is told all the same.
    async fn write_all(&self, app: &AppKey, writes: &[Write]) -> Result<(), WriteError> {
        let mut failure = None;
        for write in writes {
            if failure.is_some() && !tells(&write.action) {
                continue;
            }
            if let Err(error) = self.write_one(app, write).await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn write_one(&self, app: &AppKey, write: &Write) -> Result<(), WriteError> {
        self.admit(write.priority).await?;
        let started = Instant::now();
        let result = self.executor.execute(&write.action).await;
        self.account(&write.action, &result, started);
        match result {
            Ok(answer) => {
                self.learn(answer);
                Ok(())
            }
            Err(WriteError::Refused(why)) => {
                self.refused(app, &write.action, &why);
                Err(WriteError::Refused(why))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the budget; fails when the lease would not outlast the request.
    async fn admit(&self, priority: Priority) -> Result<(), WriteError> {
        loop {
            if self.leadership.may_start(TIMEOUT).is_none() {
                return Err(WriteError::Busy("the lease is about to run out".into()));
            }
            let wait = {
                let mut state = self.state.lock();
                if priority == Priority::Remove {
                    state.budget.take_urgent(Instant::now());
                    return Ok(());
                }
                state.budget.take(Instant::now())
            };
            match wait {
                Ok(()) => return Ok(()),
                Err(wait) => tokio::time::sleep(wait.min(Duration::from_secs(1))).await,
            }
        }
    }

    fn account(&self, action: &WriteAction, result: &Result<Answer, WriteError>, started: Instant) {
        let now = Instant::now();
        let budget = &mut self.state.lock().budget;
        if let Err(WriteError::Busy(_)) = result {
            budget.refused(now);
        } else {
            budget.answered(now.duration_since(started), now);
        }
        if result.is_ok() {
            self.metrics.wrote(action.kind(), op(action));
        } else {
            self.metrics.write_failed(action.kind(), op(action));
        }
    }

    /// What the API server answered goes into the index at once: the next plan builds on it.
    fn learn(&self, answer: Answer) {
        self.world.change(|index| match answer {
            Answer::App(app) => index.apply(*app),
            Answer::Store(store) => index.apply(*store),
            Answer::Class(class) => index.apply(*class),
            Answer::Service(service) => index.apply(*service),
            Answer::Slice(slice) => index.apply(*slice),
            Answer::SliceGone(key, uid) => {
                let slice = k8s_openapi::api::discovery::v1::EndpointSlice {
                    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                        name: Some(key.name.to_string()),
                        namespace: Some(key.namespace.to_string()),
                        uid: Some(uid),
                        ..Default::default()
                    },
                    ..Default::default()
                };
                index.delete(&slice);
            }
            Answer::Nothing => {}
        });
    }

    fn refused(&self, app: &AppKey, action: &WriteAction, why: &str) {
        warn!(%app, kind = action.kind(), op = op(action), why, "the API server refused a write");
        let now = jiff::Timestamp::now();
        self.world
            .change(|index| index.write_refused(app, action.kind(), why, now));
    }

    /// The App is planned again after a pause that grows.
    fn failed(self: &Arc<Self>, app: &AppKey, error: &WriteError) {
        debug!(%app, %error, "writes were given up; the App is planned again");
        let count = {
            let failures = &mut self.state.lock().failures;
            let failures = failures.entry(app.clone()).or_default();
            failures.count += 1;
            if std::mem::replace(&mut failures.scheduled, true) {
                return;
            }
            failures.count
        };
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(count.min(10) - 1);
        let (writer, app) = (self.clone(), app.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            if let Some(failures) = writer.state.lock().failures.get_mut(&app) {
                failures.scheduled = false;
            }
            writer.world.change(|index| index.touch(&app));
        });
    }
}

/// Whether a write only tells of what is so.
fn tells(action: &WriteAction) -> bool {
    matches!(
        action,
        WriteAction::PatchAppStatus { .. }
            | WriteAction::PatchStoreStatus { .. }
            | WriteAction::PatchClassStatus { .. }
    )
}
