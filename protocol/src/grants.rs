//! Which runtime pod may open which Store and fetch which code, as the operator's leader says.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prost::Message;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tonic::{Status, Streaming};

use crate::{
    LiveIdentity, PROTOCOL_VERSION, Replicas, Role, client, state_file,
    v1::{GrantSet, WatchGrantsRequest, grants_client::GrantsClient},
};

/// Largest set that is taken, in bytes as sent.
const MAX_SET_BYTES: usize = 64 * 1024 * 1024;
/// Longest name in a set: a digest has 71 bytes, a UUID 36.
const MAX_NAME_BYTES: usize = 256;
/// A set of a lower epoch counts once the sender of the higher one has been gone for this long: it is
/// then no late word of a former leader, but that of a leader whose count began anew.
const SENDER_GONE: Duration = Duration::from_secs(30);
const RECONNECT: Duration = Duration::from_secs(1);
/// How often a set that was refused for its epoch is tried again.
const RETRY_REFUSED: Duration = Duration::from_secs(5);

/// Grants of all pods, as one message said.
#[derive(Debug, Default)]
pub struct GrantTable {
    pods: HashMap<String, PodTable>,
}

#[derive(Debug, Default)]
struct PodTable {
    stores: HashSet<Box<str>>,
    digests: HashSet<Box<str>>,
}

impl GrantTable {
    /// The table of one message, or what is wrong with it.
    fn new(set: &GrantSet) -> Result<Self, &'static str> {
        let mut pods: HashMap<String, PodTable> = HashMap::with_capacity(set.pods.len());
        for pod in &set.pods {
            let names = pod
                .store_ids
                .iter()
                .chain(&pod.digests)
                .chain([&pod.pod_uid]);
            if names
                .into_iter()
                .any(|name| name.is_empty() || name.len() > MAX_NAME_BYTES)
            {
                return Err("a name in it is empty or longer than 256 bytes");
            }
            let table = pods.entry(pod.pod_uid.clone()).or_default();
            table
                .stores
                .extend(pod.store_ids.iter().map(|id| id.as_str().into()));
            table
                .digests
                .extend(pod.digests.iter().map(|digest| digest.as_str().into()));
        }
        Ok(Self { pods })
    }

    /// Whether the pod may open the Store of this id.
    pub fn allows_store(&self, pod_uid: &str, store_id: &str) -> bool {
        self.pods
            .get(pod_uid)
            .is_some_and(|pod| pod.stores.contains(store_id))
    }

    /// Whether any pod may fetch the code of this component digest.
    pub fn grants_digest(&self, digest: &str) -> bool {
        self.pods.values().any(|pod| pod.digests.contains(digest))
    }

    /// Whether the pod may fetch the code of this component digest.
    pub fn allows_digest(&self, pod_uid: &str, digest: &str) -> bool {
        self.pods
            .get(pod_uid)
            .is_some_and(|pod| pod.digests.contains(digest))
    }
}

/// The grants in force: the last set of the highest epoch, kept in a file so that a restarted part
/// remembers them while the operator is away. Whatever is not granted is refused.
#[derive(Debug)]
pub struct Grants {
    table: ArcSwap<GrantTable>,
    source: Mutex<Source>,
    file: Option<PathBuf>,
    changed: watch::Sender<u64>,
}

/// Where the table in force came from.
#[derive(Debug)]
struct Source {
    epoch: u64,
    /// The replica whose stream brought it; `None`: the file.
    replica: Option<SocketAddr>,
    gone_since: Option<Instant>,
    encoded: Vec<u8>,
}

impl Grants {
    /// Grants as the file at `path` remembers them; none if there is no such file.
    pub fn load(path: &Path) -> Arc<Self> {
        let grants = Self::empty(Some(path.to_owned()));
        match state_file::read(path, MAX_SET_BYTES as u64) {
            Ok(encoded) => match GrantSet::decode(encoded.as_slice()) {
                Ok(set) => grants.take(None, set),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "grants are unreadable")
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "grants are unreadable"),
        }
        grants
    }

    /// Grants that no file remembers: exactly those of `set`.
    pub fn fixed(set: GrantSet) -> Arc<Self> {
        let grants = Self::empty(None);
        grants.take(None, set);
        grants
    }

    fn empty(file: Option<PathBuf>) -> Arc<Self> {
        let source = Source {
            epoch: 0,
            replica: None,
            gone_since: None,
            encoded: Vec::new(),
        };
        Arc::new(Self {
            table: ArcSwap::default(),
            source: Mutex::new(source),
            file,
            changed: watch::Sender::new(0),
        })
    }

    /// What is granted now.
    pub fn table(&self) -> Arc<GrantTable> {
        self.table.load_full()
    }

    /// Whether the pod may open the Store of this id.
    pub fn allows_store(&self, pod_uid: &str, store_id: &str) -> bool {
        self.table.load().allows_store(pod_uid, store_id)
    }

    /// Whether the pod may fetch the code of this component digest.
    pub fn allows_digest(&self, pod_uid: &str, digest: &str) -> bool {
        self.table.load().allows_digest(pod_uid, digest)
    }

    /// Whether `allowed` holds of the grants now or within `patience`: an assignment may reach a runtime
    /// a moment before the grant that goes with it reaches this part.
    pub async fn allows_within(
        &self,
        patience: Duration,
        allowed: impl Fn(&GrantTable) -> bool,
    ) -> bool {
        let mut changes = self.changed.subscribe();
        let granted = async {
            loop {
                changes.borrow_and_update();
                if allowed(&self.table.load()) {
                    return;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(patience, granted).await.is_ok()
    }

    /// Follows the grants that the operator's replicas send, for as long as it is polled.
    pub async fn follow(self: Arc<Self>, operator: String, identity: LiveIdentity) {
        identity.ready().await;
        let mut replicas = Replicas::new(&operator);
        let mut watches = Watches::default();
        loop {
            let change = replicas.changed().await;
            for address in change.removed {
                watches.0.remove(&address).inspect(AbortHandle::abort);
                self.gone(address);
            }
            for address in change.added {
                let task = tokio::spawn(self.clone().watch_replica(address, identity.clone()));
                watches.0.insert(address, task.abort_handle());
            }
        }
    }

    async fn watch_replica(self: Arc<Self>, address: SocketAddr, identity: LiveIdentity) {
        let mut was_up = true;
        loop {
            match open(address, &identity).await {
                Ok(stream) => {
                    was_up = true;
                    let ended = self.read(address, stream).await;
                    tracing::info!(%address, %ended, "the stream of grants ended");
                }
                Err(error) if was_up => {
                    was_up = false;
                    tracing::warn!(%address, %error, "no stream of grants");
                }
                Err(error) => tracing::debug!(%address, %error, "no stream of grants"),
            }
            self.gone(address);
            sleep(RECONNECT).await;
        }
    }

    async fn read(&self, address: SocketAddr, mut stream: Streaming<GrantSet>) -> Status {
        let mut refused = None;
        loop {
            let message = match refused.take() {
                None => stream.message().await,
                Some(set) => match timeout(RETRY_REFUSED, stream.message()).await {
                    Ok(message) => message,
                    Err(_) => Ok(Some(set)),
                },
            };
            match message {
                Ok(Some(set)) if self.outranks(set.epoch) => refused = Some(set),
                Ok(Some(set)) => self.take(Some(address), set),
                Ok(None) => return Status::ok("closed by the operator"),
                Err(status) => return status,
            }
        }
    }

    /// Whether the set in force counts more than one of `epoch`.
    fn outranks(&self, epoch: u64) -> bool {
        let source = self.source.lock();
        epoch < source.epoch
            && source.replica.is_some()
            && source
                .gone_since
                .is_none_or(|since| since.elapsed() < SENDER_GONE)
    }

    fn gone(&self, replica: SocketAddr) {
        let mut source = self.source.lock();
        if source.replica == Some(replica) && source.gone_since.is_none() {
            source.gone_since = Some(Instant::now());
        }
    }

    fn take(&self, replica: Option<SocketAddr>, set: GrantSet) {
        let table = match GrantTable::new(&set) {
            Ok(table) => table,
            Err(what) => {
                tracing::error!(epoch = set.epoch, "grants are refused: {what}");
                return;
            }
        };
        let encoded = set.encode_to_vec();
        let mut source = self.source.lock();
        let is_new = encoded != source.encoded;
        *source = Source {
            epoch: set.epoch,
            replica,
            gone_since: None,
            encoded,
        };
        if !is_new {
            return;
        }
        tracing::info!(epoch = set.epoch, pods = table.pods.len(), "new grants");
        self.table.store(Arc::new(table));
        self.changed
            .send_modify(|version| *version = version.wrapping_add(1));
        // Under the lock, so that the file is never older than what was last taken.
        if let (Some(file), Some(_)) = (&self.file, replica) {
            if let Err(error) = state_file::replace(file, &source.encoded) {
                tracing::warn!(path = %file.display(), %error, "grants cannot be kept for a restart");
            }
        }
    }
}

/// Ends the tasks when the one that follows the replicas ends.
#[derive(Default)]
struct Watches(HashMap<SocketAddr, AbortHandle>);

impl Drop for Watches {
    fn drop(&mut self) {
        self.0.values().for_each(AbortHandle::abort);
    }
}

async fn open(
    address: SocketAddr,
    identity: &LiveIdentity,
) -> Result<Streaming<GrantSet>, Box<dyn std::error::Error + Send + Sync>> {
    let channel = client::connect(&address.to_string(), Role::Operator, identity).await?;
    let mut grants = GrantsClient::new(channel).max_decoding_message_size(MAX_SET_BYTES);
    let request = WatchGrantsRequest {
        protocol_version: PROTOCOL_VERSION,
    };
    Ok(grants.watch(request).await?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::PodGrants;

    fn set(epoch: u64, pod: &str, store: &str) -> GrantSet {
        GrantSet {
            epoch,
            pods: vec![PodGrants {
                pod_uid: pod.to_owned(),
                store_ids: vec![store.to_owned()],
                digests: vec![format!("sha256:{store}")],
            }],
        }
    }

    fn replica(port: u16) -> Option<SocketAddr> {
        Some(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn only_what_is_granted_to_that_pod_is_allowed() {
        let grants = Grants::fixed(set(1, "pod-a", "store-1"));
        assert!(grants.allows_store("pod-a", "store-1"));
        assert!(grants.allows_digest("pod-a", "sha256:store-1"));
        assert!(!grants.allows_store("pod-a", "store-2"));
        assert!(!grants.allows_store("pod-b", "store-1"));
        assert!(!grants.allows_store("", ""));
        assert!(!grants.allows_digest("pod-a", "store-1"));
    }

    #[test]
    fn grants_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants");
        Grants::load(&path).take(replica(1), set(3, "pod-a", "store-1"));
        let again = Grants::load(&path);
        assert!(again.allows_store("pod-a", "store-1"));
        assert!(!again.outranks(1), "a file outranks no living leader");
    }

    #[test]
    fn a_broken_file_grants_nothing_and_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants");
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert!(!Grants::load(&path).allows_store("pod-a", "store-1"));
    }

    #[test]
    fn a_former_leader_is_outranked_while_the_leader_is_there() {
        let grants = Grants::empty(None);
        grants.take(replica(1), set(5, "pod-a", "store-1"));
        assert!(grants.outranks(4));
        assert!(!grants.outranks(5));
        assert!(!grants.outranks(6));
        grants.gone(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert!(grants.outranks(4), "gone for a moment only");
        grants.source.lock().gone_since = Instant::now().checked_sub(SENDER_GONE);
        assert!(!grants.outranks(4));
    }

    #[test]
    fn hostile_names_are_refused_and_the_rest_stays() {
        let grants = Grants::fixed(set(1, "pod-a", "store-1"));
        grants.take(replica(1), set(2, "pod-a", &"x".repeat(MAX_NAME_BYTES + 1)));
        assert!(grants.allows_store("pod-a", "store-1"));
    }
}
