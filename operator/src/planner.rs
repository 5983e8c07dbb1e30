//! Plans what changed, while this replica leads, and hands out what the plans say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use shoal_plan::{AppEvent, AppKey, EventType, Index, Plan, plan};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use crate::builder_client::Builder;
use crate::classes::ClassBook;
use crate::dispatch::Dispatch;
use crate::events::{Events, Notice};
use crate::health::Health;
use crate::housekeeping::Housekeeping;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::streams::grants::GrantBook;
use crate::streams::hub::Hub;
use crate::timers::Timers;
use crate::world::World;
use crate::write::Writer;
use crate::write::execute::{ApiServer, TIMEOUT};

/// Apps that are planned before what was planned is handed out.
const CHUNK: usize = 32;
/// Stores of whose counts is written in a second, at most.
const USAGES_AT_ONCE: usize = 10;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that planning needs and feeds.
pub struct Planner {
    /// What is known.
    pub world: Arc<World>,
    /// Where runtimes are told what to do.
    pub hub: Arc<Hub>,
    /// Who may do what.
    pub grants: Arc<GrantBook>,
    /// What runtimes are told of StoreClasses.
    pub classes: Arc<ClassBook>,
    /// What the store pod is told.
    pub housekeeping: Arc<Housekeeping>,
    /// What is written.
    pub writer: Arc<Writer<ApiServer>>,
    /// Who answers questions.
    pub builder: Arc<Builder>,
    /// Who tells people.
    pub events: Events,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// The record of ports.
    pub ports: Ports,
    /// Where plans for the streams go.
    pub dispatch: mpsc::Sender<Dispatch>,
    /// Signs of life.
    pub health: Arc<Health>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What is remembered while this replica leads.
struct Term {
    epoch: u64,
    timers: Timers,
    granted: bool,
    usages_told: Instant,
}

impl Planner {
    /// Plans until `stop` becomes true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut epoch = self.leadership.watch();
        let mut term: Option<Term> = None;
        while !*stop.borrow() {
            self.health.alive("planner", PATIENCE);
            let now_leads = self.leadership.epoch();
            if term
                .as_ref()
                .is_some_and(|term| Some(term.epoch) != now_leads)
            {
                term = None;
                self.resign();
            }
            if let (None, Some(epoch)) = (&term, now_leads) {
                term = self.lead(epoch).await;
            }
            let pause = match &mut term {
                Some(term) => self.pass(term).await,
                None => LOOK_AGAIN,
            };
            tokio::select! {
                () = self.world.changed() => {}
                _ = epoch.changed() => {}
                _ = stop.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Begins to lead, once the world is known and runtimes had a moment to be heard: those that take longer are left
    /// as they are until then.
    async fn lead(&self, epoch: u64) -> Option<Term> {
        if !self.health.is_warm() {
            return None;
        }
        let now = Timestamp::now();
        let waits =
            |index: &mut Index| now < index.settled_at() && !index.unheard_pods(now).is_empty();
        if self.world.with(waits) {
            return None;
        }
        let record = match self.ports.read().await {
            Ok(record) => record,
            Err(error) => {
                warn!(%error, "the record of ports cannot be read; trying again");
                return None;
            }
        };
        self.world
            .with(|index| index.lead(&record, Timestamp::now()));
        self.hub.lead(epoch);
        self.housekeeping.lead(epoch);
        self.metrics.leader.set(1);
        info!(
            epoch,
            apps = self.world.app_count(),
            runtimes = self.world.pod_count(),
            "planning"
        );
        Some(Term {
            epoch,
            timers: Timers::default(),
            granted: false,
            usages_told: Instant::now(),
        })
    }

    fn resign(&self) {
        self.world.with(shoal_plan::Index::resign);
        self.hub.resign();
        self.grants.resign();
        self.housekeeping.resign();
        self.writer.clear();
        self.builder.clear();
        self.metrics.leader.set(0);
    }

    /// Plans everything that changed; returns how long nothing is to be done if nothing happens.
    async fn pass(&self, term: &mut Term) -> Duration {
        let due = term.timers.due(Timestamp::now());
        let more_usages = self.tell_usages(term);
        let keys = self.world.with(|index| {
            due.iter().for_each(|app| index.touch(app));
            index.take_dirty()
        });
        for chunk in keys.chunks(CHUNK) {
            let planned = self.plan_chunk(chunk, term);
            if self.dispatch.send(planned).await.is_err() {
                return LOOK_AGAIN;
            }
            // Streams and watches want the index too.
            tokio::task::yield_now().await;
        }
        let reserved = self.reserve_ports().await;
        if !std::mem::replace(&mut term.granted, true) {
            self.grants
                .lead(term.epoch, self.world.with(|index| index.grants()));
        }
        let _ = self.dispatch.send(Dispatch::Settled).await;
        let changed = self.world.with(Index::take_changed_duties);
        self.housekeeping.changed(&changed);
        self.metrics
            .apps
            .set(i64::try_from(self.world.app_count()).unwrap_or(i64::MAX));
        let until_next = term.timers.next().map_or(LOOK_AGAIN, until);
        if reserved && !more_usages {
            until_next.min(LOOK_AGAIN * 10)
        } else {
            LOOK_AGAIN
        }
    }

    /// Has Stores say what they hold, a few in a second. Returns whether others wait.
    fn tell_usages(&self, term: &mut Term) -> bool {
        if term.usages_told.elapsed() < LOOK_AGAIN {
            return true;
        }
        term.usages_told = Instant::now();
        self.world
            .with(|index| index.tell_usages(USAGES_AT_ONCE, Timestamp::now()))
    }

    fn plan_chunk(&self, keys: &[AppKey], term: &mut Term) -> Dispatch {
        let mut instructions = Vec::new();
        let mut grants_changed = BTreeSet::new();
        for key in keys {
            if !self.writer.may_plan(key) {
                continue;
            }
            let plan = self.world.with(|index| plan(index, key, Timestamp::now()));
            debug!(app = %key, writes = plan.writes.len(), asks = plan.ask.len(), "planned");
            let Plan {
                ask,
                writes,
                events,
                instructions: told,
                grants_changed: granted,
                recheck_at,
            } = plan;
            if key.is_cluster_wide() {
                self.classes.look();
            }
            instructions.extend(told);
            grants_changed.extend(granted);
            term.timers.set(key, recheck_at);
            self.builder.ask(key, ask);
            self.writer.submit(key.clone(), writes);
            events.into_iter().for_each(|event| self.tell(key, event));
        }
        Dispatch::Planned {
            instructions,
            grants_changed,
        }
    }

    /// Records port blocks before they are used; returns whether nothing is left to record.
    async fn reserve_ports(&self) -> bool {
        let Some(record) = self
            .world
            .with(|index| index.ports_to_reserve(Timestamp::now()))
        else {
            return true;
        };
        if self.leadership.may_start(TIMEOUT).is_none() {
            return false;
        }
        match self.ports.write(&record).await {
            Ok(()) => {
                self.metrics.wrote("ConfigMap", "patch");
                self.world.change(|index| index.ports_reserved(&record));
                true
            }
            Err(error) => {
                warn!(%error, "ports cannot be recorded; Apps without a port wait");
                false
            }
        }
    }

    fn tell(&self, key: &AppKey, event: AppEvent) {
        let about = ObjectReference {
            api_version: Some(format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION)),
            kind: Some("App".into()),
            namespace: Some(key.namespace.to_string()),
            name: Some(key.name.to_string()),
            uid: self.world.app_uid(key),
            ..ObjectReference::default()
        };
        self.events.tell(Notice {
            about,
            warning: event.type_ == EventType::Warning,
            reason: event.reason,
            note: event.message,
            every_time: false,
        });
    }
}

fn until(at: Timestamp) -> Duration {
    let left = at.duration_since(Timestamp::now());
    // Not earlier than asked for: the clock has finer steps than the timer.
    Duration::try_from(left).unwrap_or(Duration::ZERO) + Duration::from_millis(2)
}
