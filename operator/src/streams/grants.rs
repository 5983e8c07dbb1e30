//! Who may open which Store and fetch which code, for those who have to know.

use std::collections::{BTreeMap, HashMap};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use parking_lot::Mutex;
use shoal_plan::PodGrants;
use shoal_protocol::v1::grants_server::Grants;
use shoal_protocol::v1::{self, GrantSet, WatchGrantsRequest};
use shoal_protocol::{Role, server};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::info;

/// Sets that may wait for a reader.
const WAITING: usize = 2;
/// A reader that does not take a set for this long has to connect again.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// What all pods may do, under one leader.
#[derive(Clone, Default)]
struct Table {
    epoch: u64,
    version: u64,
    pods: BTreeMap<Arc<str>, Arc<PodGrants>>,
}

/// The grants as they are now.
pub struct GrantBook {
    table: watch::Sender<Option<Arc<Table>>>,
    /// Newest version that there was, under whichever leader: what a reader was sent in an earlier term is older.
    newest: AtomicU64,
    /// Newest version that each reader was sent.
    readers: Mutex<HashMap<u64, watch::Receiver<u64>>>,
    next: AtomicU64,
}

impl Default for GrantBook {
    fn default() -> Self {
        Self {
            table: watch::Sender::new(None),
            newest: AtomicU64::new(0),
            readers: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }
}

impl GrantBook {
    /// This replica leads: these are all grants.
    pub fn lead(&self, epoch: u64, grants: BTreeMap<Arc<str>, PodGrants>) {
        let pods = grants
            .into_iter()
            .map(|(pod, grants)| (pod, Arc::new(grants)))
            .collect();
        self.table.send_replace(Some(Arc::new(Table {
            epoch,
            version: self.new_version(),
            pods,
        })));
    }

    /// This replica does not lead any more: readers keep what they have.
    pub fn resign(&self) {
        self.table.send_replace(None);
    }

    /// The grants of these pods changed; pods that `exists` does not know lose theirs.
    pub fn update(&self, changed: Vec<(Arc<str>, PodGrants)>, exists: impl Fn(&str) -> bool) {
        self.table.send_if_modified(|table| {
            let Some(table) = table else { return false };
            let differs = changed
                .iter()
                .any(|(pod, grants)| table.pods.get(pod).is_none_or(|known| **known != *grants));
            let stale = table.pods.keys().any(|pod| !exists(pod));
            if !differs && !stale {
                return false;
            }
            let table = Arc::make_mut(table);
            table.version = self.new_version();
            for (pod, grants) in changed {
                table.pods.insert(pod, Arc::new(grants));
            }
            table.pods.retain(|pod, _| exists(pod));
            true
        });
    }

    /// Waits until every reader was sent the grants as they are now, but not for long: one that is stuck is no
    /// reason to keep apps waiting.
    pub async fn sent(&self, patience: Duration) {
        let Some(version) = self.table.borrow().as_ref().map(|table| table.version) else {
            return;
        };
        let readers: Vec<_> = self.readers.lock().values().cloned().collect();
        let all = async {
            for mut reader in readers {
                let _ = reader.wait_for(|sent| *sent >= version).await;
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
    }

    fn new_version(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn enter(&self) -> (u64, watch::Sender<u64>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = watch::channel(0);
        self.readers.lock().insert(id, receiver);
        (id, sender)
    }
}

/// The service `shoal.v1.Grants`. Every replica serves it; only a leader has something to say.
pub struct GrantsService(pub Arc<GrantBook>);

#[tonic::async_trait]
impl Grants for GrantsService {
    type WatchStream = ReceiverStream<Result<GrantSet, Status>>;

    async fn watch(
        &self,
        request: Request<WatchGrantsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let identity = server::require(&request, &[Role::Builder, Role::Store])?;
        let role = identity.role();
        info!(%role, "grants are followed");
        let (sender, receiver) = mpsc::channel(WAITING);
        let book = self.0.clone();
        tokio::spawn(async move {
            let (id, sent) = book.enter();
            follow(&book, role, &sender, &sent).await;
            book.readers.lock().remove(&id);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

async fn follow(
    book: &GrantBook,
    role: Role,
    sender: &mpsc::Sender<Result<GrantSet, Status>>,
    sent: &watch::Sender<u64>,
) {
    let mut table = book.table.subscribe();
    let mut last: Option<GrantSet> = None;
    loop {
        let now = table.borrow_and_update().clone();
        if let Some(now) = now {
            let set = set_for(role, &now);
            if last.as_ref() != Some(&set) {
                if sender
                    .send_timeout(Ok(set.clone()), READ_DEADLINE)
                    .await
                    .is_err()
                {
                    return;
                }
                last = Some(set);
            }
            sent.send_replace(now.version);
        }
        tokio::select! {
            changed = table.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}

fn set_for(role: Role, table: &Table) -> GrantSet {
    let pod = |(pod, grants): (&Arc<str>, &Arc<PodGrants>)| {
        let mut one = v1::PodGrants {
            pod_uid: pod.to_string(),
            ..Default::default()
        };
        if role == Role::Store {
            one.store_ids = grants.store_ids.iter().cloned().collect();
            one.held_store_ids = grants.held_store_ids.iter().cloned().collect();
        } else {
            one.digests = grants.digests.iter().cloned().collect();
        }
        one
    };
    GrantSet {
        epoch: table.epoch,
        pods: table.pods.iter().map(pod).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(store: &str) -> PodGrants {
        PodGrants {
            store_ids: [store.to_owned()].into(),
            held_store_ids: ["elsewhere".to_owned()].into(),
            digests: ["sha256:d".to_owned()].into(),
        }
    }

    fn book() -> GrantBook {
        let book = GrantBook::default();
        book.lead(7, BTreeMap::from([(Arc::from("pod"), grants("a"))]));
        book
    }

    #[test]
    fn the_store_is_told_no_digests_and_the_builder_no_stores() {
        let table = book().table.borrow().clone().unwrap();
        let store = set_for(Role::Store, &table);
        assert_eq!(store.epoch, 7);
        assert_eq!(store.pods[0].store_ids, ["a"]);
        assert_eq!(store.pods[0].held_store_ids, ["elsewhere"]);
        assert!(store.pods[0].digests.is_empty());
        let builder = set_for(Role::Builder, &table);
        assert_eq!(builder.pods[0].digests, ["sha256:d"]);
        assert!(builder.pods[0].store_ids.is_empty());
        assert!(builder.pods[0].held_store_ids.is_empty());
    }

    #[test]
    fn the_same_grants_again_are_no_news() {
        let book = book();
        book.update(vec![(Arc::from("pod"), grants("a"))], |_| true);
        assert_eq!(book.table.borrow().as_ref().unwrap().version, 1);
        book.update(vec![(Arc::from("pod"), grants("b"))], |_| true);
        assert_eq!(book.table.borrow().as_ref().unwrap().version, 2);
    }

    #[test]
    fn a_pod_that_is_gone_loses_its_grants() {
        let book = book();
        book.update(Vec::new(), |_| false);
        assert!(book.table.borrow().as_ref().unwrap().pods.is_empty());
    }
}
