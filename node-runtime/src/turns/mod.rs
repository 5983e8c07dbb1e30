//! The processor, shared between apps by what each has had of it.
//!
//! A guest runs in the task of its request, on whatever thread has that task, as long as nobody waits: then
//! nothing here takes a lock. One that used up its turn (an epoch of 1 ms) and wants to go on waits in the queue
//! of its app; so does one that wakes up while another app waits that has had less. Of those that wait as many
//! are woken as there are threads, those first whose app has had least for its weight. So an app with a hundred
//! guests that compute has the part of one app, and one that rests has its turn as soon as it wants it.

mod clock;
mod queue;
mod turn;

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use parking_lot::Mutex;

use self::queue::{Queue, ShareId, Virtual};
pub(crate) use self::turn::Turn;

/// Nobody waits.
const NOBODY: Virtual = Virtual::MAX;
/// Weight at which a nanosecond counts as one.
const UNIT: u64 = 1000;

/// Whose turn it is, on all threads of the node.
pub(crate) struct Turns {
    queue: Mutex<Waiting>,
    /// The time of the first that waits, or [`NOBODY`]: to be read without the lock.
    first: AtomicU64,
    /// [`Queue::now`], to be read without the lock.
    now: AtomicU64,
    next_share: AtomicU64,
    threads: u32,
}

#[derive(Default)]
struct Waiting {
    queue: Queue<Arc<Turn>>,
    /// Those that were woken and have not run since. While anybody waits there is at least one, so that
    /// somebody comes by to wake the next.
    granted: u32,
}

/// An app's part of the processor.
pub(crate) struct Share {
    turns: Arc<Turns>,
    id: ShareId,
    time: AtomicU64,
    weight: AtomicU32,
    nanoseconds: AtomicU64,
}

impl Turns {
    /// For guests on so many threads.
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            first: AtomicU64::new(NOBODY),
            now: AtomicU64::new(0),
            next_share: AtomicU64::new(0),
            threads: u32::try_from(threads.max(1)).unwrap_or(u32::MAX),
        })
    }

    /// For an app, whose weight is still to be said.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share {
            turns: Arc::clone(self),
            id: self.next_share.fetch_add(1, Ordering::Relaxed),
            time: AtomicU64::new(0),
            weight: AtomicU32::new(1),
            nanoseconds: AtomicU64::new(0),
        }
    }

    fn wait(&self, turn: Arc<Turn>) {
        let mut waiting = self.queue.lock();
        let share = turn.share();
        let (id, time) = (share.id, share.time.load(Ordering::Relaxed));
        let time = time.max(waiting.queue.now());
        waiting.queue.push(id, time, turn);
        self.wake_next(&mut waiting);
    }

    /// A turn that was granted is over, or will not be used.
    fn give_back(&self) {
        let mut waiting = self.queue.lock();
        waiting.granted = waiting.granted.saturating_sub(1);
        self.wake_next(&mut waiting);
    }

    fn forget(&self, turn: &Turn) {
        let mut waiting = self.queue.lock();
        let gone = |other: &Arc<Turn>| std::ptr::eq(Arc::as_ptr(other), turn);
        waiting.queue.remove(turn.share().id, gone);
        self.wake_next(&mut waiting);
    }

    fn wake_next(&self, waiting: &mut Waiting) {
        while waiting.granted < self.threads {
            let time = |turn: &Arc<Turn>| turn.share().time.load(Ordering::Relaxed);
            let Some(turn) = waiting.queue.pop(time) else {
                break;
            };
            if turn.grant() {
                waiting.granted = waiting.granted.saturating_add(1);
            }
        }
        self.now.store(waiting.queue.now(), Ordering::Relaxed);
        let first = waiting.queue.first().unwrap_or(NOBODY);
        self.first.store(first, Ordering::Release);
    }
}

impl Share {
    /// Whether no other app waits that has had less.
    fn may_run(&self) -> bool {
        let first = self.turns.first.load(Ordering::Acquire);
        if first == NOBODY {
            return true;
        }
        // Rest earns nothing.
        let now = self.turns.now.load(Ordering::Relaxed);
        self.time.fetch_max(now, Ordering::Relaxed).max(now) <= first
    }

    fn charge(&self, nanoseconds: u64) {
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        let weight = u64::from(self.weight.load(Ordering::Relaxed).max(1));
        let time = nanoseconds.saturating_mul(UNIT) / weight;
        self.time.fetch_add(time, Ordering::Relaxed);
    }

    /// From now on it has a part of this weight.
    pub(crate) fn set_weight(&self, weight: u32) {
        self.weight.store(weight.max(1), Ordering::Relaxed);
    }

    /// Processor time of its guests, in nanoseconds.
    pub(crate) fn nanoseconds(&self) -> u64 {
        self.nanoseconds.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
