//! Leader election by the Lease `shoal-operator`.

mod state;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

pub use state::{Election, Record, Step};

/// Name of the Lease.
pub const LEASE: &str = "shoal-operator";
/// How long a holder may lead after its last renewal.
pub const DURATION: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether this replica leads, and until when.
#[derive(Clone)]
pub struct Leadership {
    epoch: watch::Receiver<Option<u64>>,
    deadline: Arc<Mutex<Instant>>,
}

impl Leadership {
    /// The epoch under which a request with this timeout may start now: the lease outlives the request, so that no
    /// write of ours can arrive after another replica has begun to lead.
    pub fn may_start(&self, timeout: Duration) -> Option<u64> {
        let epoch = (*self.epoch.borrow())?;
        (Instant::now() + timeout < *self.deadline.lock()).then_some(epoch)
    }

    /// The epoch while this replica leads.
    pub fn epoch(&self) -> Option<u64> {
        self.may_start(Duration::ZERO)
    }

    /// Follows gains and losses of leadership.
    pub fn watch(&self) -> watch::Receiver<Option<u64>> {
        self.epoch.clone()
    }

    /// A leadership that never ends, for tests of what needs one.
    #[cfg(test)]
    pub fn eternal(epoch: u64) -> Self {
        let (_, receiver) = watch::channel(Some(epoch));
        Self {
            epoch: receiver,
            deadline: Arc::new(Mutex::new(Instant::now() + Duration::from_secs(3600))),
        }
    }
}

/// Takes part in the election until it is told to stop.
pub struct Elector {
    api: Api<Lease>,
    election: Election,
    epoch: watch::Sender<Option<u64>>,
    deadline: Arc<Mutex<Instant>>,
}

impl Elector {
    /// `identity` names this process; it must differ between runs.
    pub fn new(client: kube::Client, namespace: &str, identity: String) -> (Self, Leadership) {
        let (epoch, receiver) = watch::channel(None);
        let deadline = Arc::new(Mutex::new(Instant::now()));
        let leadership = Leadership {
            epoch: receiver,
            deadline: deadline.clone(),
        };
        let elector = Self {
            api: Api::namespaced(client, namespace),
            election: Election::new(identity, DURATION),
            epoch,
            deadline,
        };
        (elector, leadership)
    }

    /// Runs until `stop` becomes true, then gives the lease back.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>, alive: impl Fn()) {
        while !*stop.borrow() {
            alive();
            let started = Instant::now();
            if let Err(error) = self.round().await {
                warn!(%error, "leader election: the Lease {LEASE} could not be read or written");
            }
            self.expire();
            let pause = RENEW_EVERY.saturating_sub(started.elapsed());
            let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
        }
        self.release().await;
    }

    async fn round(&mut self) -> Result<(), Failure> {
        let lease = timely(self.api.get_opt(LEASE)).await?;
        let step = self
            .election
            .decide(lease.as_ref().map(record), Instant::now(), minutes());
        let sent = Instant::now();
        match step {
            Step::Wait => self.lost("another replica holds the lease"),
            Step::Create { epoch } => {
                let lease = self.lease(epoch, None, None);
                timely(self.api.create(&PostParams::default(), &lease)).await?;
                self.won(epoch, sent);
            }
            Step::Acquire { epoch, version } | Step::Renew { epoch, version } => {
                let lease = self.lease(epoch, Some(version), lease);
                timely(self.api.replace(LEASE, &PostParams::default(), &lease)).await?;
                self.won(epoch, sent);
            }
        }
        Ok(())
    }

    fn won(&self, epoch: u64, sent: Instant) {
        *self.deadline.lock() = self.election.deadline(sent);
        self.epoch.send_if_modified(|now| {
            let changed = *now != Some(epoch);
            *now = Some(epoch);
            if changed {
                info!(epoch, "this replica leads");
            }
            changed
        });
    }

    fn lost(&self, why: &str) {
        self.epoch.send_if_modified(|now| {
            let led = now.take().is_some();
            if led {
                warn!(why, "this replica no longer leads");
            }
            led
        });
    }

    fn expire(&self) {
        if Instant::now() >= *self.deadline.lock() {
            self.lost("the lease was not renewed in time");
        }
    }

    async fn release(self) {
        let led = self.epoch.borrow().is_some();
        self.lost("shutting down");
        if !led {
            return;
        }
        let Ok(Some(lease)) = timely(self.api.get_opt(LEASE)).await else {
            return;
        };
        if record(&lease).holder != self.election.identity() {
            return;
        }
        let mut released = lease;
        released.spec.get_or_insert_default().holder_identity = None;
        if let Err(error) = timely(self.api.replace(LEASE, &PostParams::default(), &released)).await
        {
            warn!(%error, "the Lease {LEASE} was not released: another replica takes over when it has run out");
        }
    }

    fn lease(&self, epoch: u64, version: Option<String>, old: Option<Lease>) -> Lease {
        let now = MicroTime(k8s_openapi::jiff::Timestamp::now());
        let old_spec = old.and_then(|lease| lease.spec).unwrap_or_default();
        let ours = old_spec.holder_identity.as_deref() == Some(self.election.identity());
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.into()),
                resource_version: version,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.election.identity().to_owned()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: i32::try_from(epoch).ok(),
                acquire_time: if ours {
                    old_spec.acquire_time
                } else {
                    Some(now.clone())
                },
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        epoch: spec
            .lease_transitions
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// Fits `leaseTransitions` (32 bits) for the next four thousand years.
fn minutes() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 60)
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
}

async fn timely<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| Failure::Timeout)?
        .map_err(Failure::Api)
}
