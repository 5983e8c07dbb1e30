//! Which runtime pod may open which Store and fetch which code, as the operator's leader says.

mod follow;
mod table;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prost::Message;
use tokio::{sync::watch, time::timeout};

pub use self::table::GrantTable;
use crate::{Precedence, state_file, v1::GrantSet};

/// Largest set that is taken, in bytes as sent.
const MAX_SET_BYTES: usize = 64 * 1024 * 1024;
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
#[derive(Debug, Default)]
struct Source {
    precedence: Precedence,
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
        Arc::new(Self {
            table: ArcSwap::default(),
            source: Mutex::default(),
            file,
            changed: watch::Sender::new(0),
        })
    }

    /// What is granted now.
    pub fn table(&self) -> Arc<GrantTable> {
        self.table.load_full()
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

    /// Whether the set in force counts more than one of `epoch`.
    fn outranks(&self, epoch: u64) -> bool {
        self.source
            .lock()
            .precedence
            .outranks(epoch, Instant::now())
    }

    fn gone(&self, replica: SocketAddr) {
        self.source.lock().precedence.gone(replica, Instant::now());
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
        if let Some(replica) = replica {
            source.precedence.obey(replica, set.epoch);
        }
        source.encoded = encoded;
        if !is_new {
            return;
        }
        tracing::info!(epoch = set.epoch, pods = table.pods(), "new grants");
        self.table.store(Arc::new(table));
        self.changed
            .send_modify(|version| *version = version.wrapping_add(1));
    }

    fn save(&self) {
        let Some(file) = &self.file else { return };
        let encoded = self.source.lock().encoded.clone();
        if let Err(error) = state_file::replace(file, &encoded) {
            tracing::warn!(path = %file.display(), %error, "grants cannot be kept for a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{table::MAX_NAME_BYTES, *};
    use crate::v1::PodGrants;

    fn set(epoch: u64, pod: &str, store: &str) -> GrantSet {
        GrantSet {
            epoch,
            pods: vec![PodGrants {
                pod_uid: pod.to_owned(),
                store_ids: vec![store.to_owned()],
                digests: vec![format!("sha256:{store}")],
                ..Default::default()
            }],
        }
    }

    fn replica(port: u16) -> Option<SocketAddr> {
        Some(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn only_what_is_granted_to_that_pod_is_allowed() {
        let grants = Grants::fixed(set(1, "pod-a", "store-1"));
        assert!(grants.table().allows_store("pod-a", "store-1"));
        assert!(grants.table().allows_digest("pod-a", "sha256:store-1"));
        assert!(!grants.table().allows_store("pod-a", "store-2"));
        assert!(!grants.table().allows_store("pod-b", "store-1"));
        assert!(!grants.table().allows_store("", ""));
        assert!(!grants.table().allows_digest("pod-a", "store-1"));
    }

    #[test]
    fn grants_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants");
        let grants = Grants::load(&path);
        grants.take(replica(1), set(3, "pod-a", "store-1"));
        grants.save();
        let again = Grants::load(&path);
        assert!(again.table().allows_store("pod-a", "store-1"));
        assert!(!again.outranks(1), "a file outranks no living leader");
    }

    #[test]
    fn a_broken_file_grants_nothing_and_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants");
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert!(!Grants::load(&path).table().allows_store("pod-a", "store-1"));
    }

    #[test]
    fn hostile_names_are_refused_and_the_rest_stays() {
        let grants = Grants::fixed(set(1, "pod-a", "store-1"));
        grants.take(replica(1), set(2, "pod-a", &"x".repeat(MAX_NAME_BYTES + 1)));
        assert!(grants.table().allows_store("pod-a", "store-1"));
    }
}
