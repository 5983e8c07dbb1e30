//! What is still to be said on each stream: of many changes of one thing, the last.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Deref,
    sync::Arc,
};

use parking_lot::Mutex;
use shoal_protocol::v1::{self, from_housekeeper::Message};
use tokio::sync::Notify;

use super::Housekeeping;
use crate::StoreId;

/// Stores of one message.
const AT_ONCE: usize = 1000;

/// The streams that are open.
#[derive(Default)]
pub(super) struct Outboxes {
    open: Mutex<HashMap<u64, Arc<Outbox>>>,
}

/// What one stream has not said yet.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    more: Notify,
}

/// A stream that is open.
pub(super) struct Stream<'a> {
    of: &'a Outboxes,
    number: u64,
    outbox: Arc<Outbox>,
}

#[derive(Default)]
struct Waiting {
    usages: BTreeSet<StoreId>,
    purged: BTreeMap<StoreId, String>,
    health: bool,
}

impl Outboxes {
    /// A stream begins. It ends when the result is dropped, however its task ends.
    pub(super) fn open(&self) -> Stream<'_> {
        let mut open = self.open.lock();
        let number = open.keys().max().map_or(0, |last| last + 1);
        let outbox = Arc::new(Outbox::default());
        open.insert(number, outbox.clone());
        Stream {
            of: self,
            number,
            outbox,
        }
    }

    /// Does this for every stream.
    pub(super) fn each(&self, what: impl Fn(&Outbox)) {
        self.open.lock().values().for_each(|outbox| what(outbox));
    }
}

impl Deref for Stream<'_> {
    type Target = Outbox;

    fn deref(&self) -> &Outbox {
        &self.outbox
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.of.open.lock().remove(&self.number);
    }
}

impl Outbox {
    /// The usage of these Stores is to be said.
    pub(super) fn usages(&self, stores: impl IntoIterator<Item = StoreId>) {
        self.waiting.lock().usages.extend(stores);
        self.more.notify_one();
    }

    /// The usage of a Store changed.
    pub(super) fn usage(&self, store: StoreId) {
        self.usages([store]);
    }

    /// The data of a Store was removed, or why not.
    pub(super) fn purged(&self, store: StoreId, problem: Option<&str>) {
        let problem = problem.unwrap_or_default().to_owned();
        self.waiting.lock().purged.insert(store, problem);
        self.more.notify_one();
    }

    /// How a class does changed.
    pub(super) fn health(&self) {
        self.waiting.lock().health = true;
        self.more.notify_one();
    }

    /// Waits for something to say. May be dropped at any point without losing anything.
    pub(super) async fn next(&self, of: &Housekeeping) -> Message {
        loop {
            if let Some(message) = self.take(of) {
                return message;
            }
            self.more.notified().await;
        }
    }

    fn take(&self, of: &Housekeeping) -> Option<Message> {
        let mut waiting = self.waiting.lock();
        if let Some((store, problem)) = waiting.purged.pop_first() {
            let store_id = store.to_string();
            return Some(Message::Purged(v1::Purged { store_id, problem }));
        }
        if std::mem::take(&mut waiting.health) {
            drop(waiting);
            return Some(Message::StoreHealth(of.classes.lock().health()));
        }
        let known = of.usages.lock();
        let mut usages = Vec::new();
        while usages.len() < AT_ONCE
            && let Some(store) = waiting.usages.pop_first()
        {
            // One that ended meanwhile has none.
            if let Some(usage) = known.get(&store) {
                usages.push(v1::Usage {
                    store_id: store.to_string(),
                    keys: usage.keys,
                    bytes: usage.bytes,
                });
            }
        }
        (!usages.is_empty()).then_some(Message::Usages(v1::Usages { usages }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_whose_task_is_aborted_gathers_nothing_more() {
        let outboxes = Arc::new(Outboxes::default());
        let (opened, is_open) = tokio::sync::oneshot::channel();
        let of = outboxes.clone();
        let hanging = tokio::spawn(async move {
            let _stream = of.open();
            opened.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        is_open.await.unwrap();
        assert_eq!(outboxes.open.lock().len(), 1);
        hanging.abort();
        assert!(hanging.await.unwrap_err().is_cancelled());
        assert_eq!(outboxes.open.lock().len(), 0);
    }
}
