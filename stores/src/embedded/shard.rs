//! One file: a thread that writes with group commit, and a few that read.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Durability, OpenError,
    connection::Reopening,
    fair_queue::{FairQueue, QueueLimits, Refused},
    fault,
    read::{self, Found, PendingRead, Read},
    schema,
    write::{Outcome, PendingWrite, Write, Writing, Written},
};
use crate::{KeyValueError, StoreId, shortage::DiskShortage};

/// Every call ends by then.
const DEADLINE: Duration = Duration::from_secs(5);
/// Writes of one commit.
const BATCH_WRITES: usize = 512;
/// Bytes of one commit; the write that reaches it still belongs to it.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const WRITE_QUEUE: QueueLimits = QueueLimits {
    items: 8192,
    bytes: 32 * 1024 * 1024,
    items_per_store: 1024,
    bytes_per_store: 10 * 1024 * 1024,
};
/// Of questions; what their answers may hold is bounded where they are sent.
const READ_QUEUE: QueueLimits = QueueLimits {
    items: 8192,
    bytes: 16 * 1024 * 1024,
    items_per_store: 1024,
    bytes_per_store: 10 * 1024 * 1024,
};
/// What an item holds beside its keys and values.
const ITEM_BYTES: usize = 256;

/// See the module. Dropping it writes what waits and ends the threads.
pub(crate) struct Shard {
    writes: Arc<FairQueue<PendingWrite>>,
    reads: Arc<FairQueue<PendingRead>>,
    threads: Vec<JoinHandle<()>>,
}

impl Shard {
    pub(crate) fn start(
        folder: &Path,
        index: u32,
        readers: usize,
        durability: Durability,
        commits: Arc<AtomicU64>,
        shortage: Arc<DiskShortage>,
    ) -> Result<Self, OpenError> {
        let writes = Arc::new(FairQueue::new(WRITE_QUEUE));
        let reads = Arc::new(FairQueue::new(READ_QUEUE));
        let mut shard = Self {
            writes,
            reads,
            threads: Vec::new(),
        };
        let file = schema::path(folder, index);
        let name = file.display().to_string();

        let (queue, path) = (shard.writes.clone(), file.clone());
        let connection = Reopening::new(name.clone(), move || schema::writer(&path, durability));
        shard.spawn(format!("kv-write-{index}"), move || {
            write_all(&queue, connection, &commits, &shortage)
        })?;

        for _ in 0..readers.max(1) {
            let (queue, path) = (shard.reads.clone(), file.clone());
            let connection = Reopening::new(name.clone(), move || schema::reader(&path));
            shard.spawn(format!("kv-read-{index}"), move || {
                read_all(&queue, connection)
            })?;
        }
        Ok(shard)
    }

    fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), OpenError> {
        let thread = thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(OpenError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Whether every thread is there: none ends before its queue is closed, but by a panic.
    pub(crate) fn is_alive(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    pub(crate) async fn write(&self, store: StoreId, write: Write) -> Outcome {
        let bytes = ITEM_BYTES + write.bytes();
        let (reply, answer) = oneshot::channel();
        let pending = PendingWrite {
            store,
            write,
            reply,
        };
        self.writes
            .push(store, pending, bytes)
            .map_err(|why| refused(why, "writes"))?;
        within_deadline(answer).await
    }

    pub(crate) async fn read(&self, store: StoreId, read: Read) -> Result<Found, KeyValueError> {
        let bytes = ITEM_BYTES + read.bytes();
        let (reply, answer) = oneshot::channel();
        let pending = PendingRead { store, read, reply };
        self.reads
            .push(store, pending, bytes)
            .map_err(|why| refused(why, "reads"))?;
        within_deadline(answer).await
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

async fn within_deadline<T>(
    answer: oneshot::Receiver<Result<T, KeyValueError>>,
) -> Result<T, KeyValueError> {
    let unavailable = |what: &str| Err(KeyValueError::Unavailable(what.to_owned()));
    match timeout(DEADLINE, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => unavailable("it is shutting down"),
        Err(_) => unavailable("it took longer than 5 s"),
    }
}

fn refused(why: Refused, what: &str) -> KeyValueError {
    KeyValueError::Unavailable(match why {
        Refused::Full => format!("too many {what} are waiting"),
        Refused::Closed => "it is shutting down".to_owned(),
    })
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Write::Set { pairs, .. } => pairs
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum(),
            Write::Delete(keys) => keys.iter().map(String::len).sum(),
            Write::Increment { key, .. } => key.len(),
            Write::Swap {
                key,
                expected,
                value,
                ..
            } => key.len() + expected.as_ref().map_or(0, |expected| expected.len()) + value.len(),
            Write::Purge { after } => after.as_ref().map_or(0, Vec::len),
            Write::Probe => 0,
        }
    }
}

impl Read {
    fn bytes(&self) -> usize {
        match self {
            Read::Get(keys) => keys.iter().map(String::len).sum(),
            Read::Exists(key) => key.len(),
            Read::List { after, .. } => after.as_ref().map_or(0, String::len),
            Read::Usage => 0,
        }
    }
}

fn write_all<F: Fn() -> rusqlite::Result<Connection>>(
    queue: &FairQueue<PendingWrite>,
    mut connection: Reopening<F>,
    commits: &AtomicU64,
    shortage: &DiskShortage,
) {
    let end = |batch, outcomes: Result<Vec<Outcome>, KeyValueError>| {
        if outcomes.as_ref().is_err_and(fault::is_full) {
            shortage.met();
        }
        fail_or_answer(batch, outcomes);
    };
    while let Some(mut batch) = queue.take(BATCH_WRITES, BATCH_BYTES) {
        // Who no longer waits was told that it failed: better it did.
        batch.retain(|pending| !pending.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        match connection.run(|connection| commit(connection, &batch, commits)) {
            Ok(outcomes) => answer(batch, outcomes),
            // One write may be the cause (a full disk takes a small one): each for itself.
            Err(_) if batch.len() > 1 => {
                for pending in batch {
                    // A file that is in use by another process makes each of them wait.
                    if pending.reply.is_closed() {
                        continue;
                    }
                    let alone = [pending];
                    let outcome = connection.run(|connection| commit(connection, &alone, commits));
                    end(alone.into(), outcome);
                }
            }
            Err(error) => end(batch, Err(error)),
        }
    }
}

fn fail_or_answer(batch: Vec<PendingWrite>, outcomes: Result<Vec<Outcome>, KeyValueError>) {
    match outcomes {
        Ok(outcomes) => answer(batch, outcomes),
        Err(error) => {
            let outcomes = batch.iter().map(|_| Err(error.clone())).collect();
            answer(batch, outcomes);
        }
    }
}

fn answer(batch: Vec<PendingWrite>, outcomes: Vec<Outcome>) {
    for (pending, outcome) in batch.into_iter().zip(outcomes) {
        // It fails if the caller is gone.
        let _ = pending.reply.send(outcome);
    }
}

/// Does all writes of `batch` and makes them durable with one commit.
fn commit(
    connection: &Connection,
    batch: &[PendingWrite],
    commits: &AtomicU64,
) -> rusqlite::Result<Vec<Outcome>> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut writing = Writing::new(&transaction);
    for pending in batch {
        outcomes.push(writing.apply(pending.store, &pending.write)?);
    }
    let changes = outcomes.iter().any(|outcome| {
        !matches!(
            outcome,
            Err(_) | Ok(Written::Swap(crate::key_value::Swap::Lost { .. }))
        )
    });
    if changes {
        writing.finish()?;
        transaction.commit()?;
        commits.fetch_add(1, Ordering::Relaxed);
    }
    Ok(outcomes)
}

fn read_all<F: Fn() -> rusqlite::Result<Connection>>(
    queue: &FairQueue<PendingRead>,
    mut connection: Reopening<F>,
) {
    while let Some(batch) = queue.take(1, usize::MAX) {
        for PendingRead { store, read, reply } in batch {
            if reply.is_closed() {
                continue;
            }
            let found = connection.run(|connection| read::perform(connection, store, &read));
            // It fails if the caller is gone.
            let _ = reply.send(found.and_then(|found| found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panicked_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let commits = Arc::default();
        let shortage = Arc::new(DiskShortage::of(folder.path()));
        let mut shard =
            Shard::start(folder.path(), 0, 1, Durability::Relaxed, commits, shortage).unwrap();
        assert!(shard.is_alive());
        shard
            .spawn("kv-write-0".to_owned(), || panic!("the test says so"))
            .unwrap();
        while shard.is_alive() {
            thread::yield_now();
        }
    }
}
