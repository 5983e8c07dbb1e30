//! A bounded queue in which Stores take turns, so that a busy one delays the others by one item, not by all of its own.

use std::collections::{HashMap, VecDeque};

use parking_lot::{Condvar, Mutex};

use crate::StoreId;

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    /// Items of all Stores.
    pub(crate) items: usize,
    /// Bytes of all Stores.
    pub(crate) bytes: usize,
    /// Items of one Store.
    pub(crate) items_per_store: usize,
    /// Bytes of one Store.
    pub(crate) bytes_per_store: usize,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue as a whole, or this Store's share of it, is full.
    Full,
    /// It was closed.
    Closed,
}

/// See the module.
pub(crate) struct FairQueue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    limits: QueueLimits,
}

struct State<T> {
    lines: HashMap<StoreId, Line<T>>,
    /// Stores with items, each once, in the order of their turns.
    turns: VecDeque<StoreId>,
    items: usize,
    bytes: usize,
    closed: bool,
}

struct Line<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> FairQueue<T> {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        let state = State {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            items: 0,
            bytes: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
            limits,
        }
    }

    /// Puts an item that holds `bytes` bytes at the end of its Store's line.
    pub(crate) fn push(&self, store: StoreId, item: T, bytes: usize) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items >= self.limits.items || state.bytes + bytes > self.limits.bytes {
            return Err(Refused::Full);
        }
        let (count, held) = state
            .lines
            .get(&store)
            .map_or((0, 0), |line| (line.items.len(), line.bytes));
        let over = held + bytes > self.limits.bytes_per_store && count > 0;
        if count >= self.limits.items_per_store || over {
            return Err(Refused::Full);
        }
        if count == 0 {
            state.turns.push_back(store);
        }
        let line = state.lines.entry(store).or_insert_with(|| Line {
            items: VecDeque::new(),
            bytes: 0,
        });
        line.items.push_back((item, bytes));
        line.bytes += bytes;
        state.items += 1;
        state.bytes += bytes;
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for items and takes them, one of each Store in turn, until there are `max_items` or they
    /// hold `max_bytes` or more. `None` when the queue is closed and empty.
    pub(crate) fn take(&self, max_items: usize, max_bytes: usize) -> Option<Vec<T>> {
        let mut state = self.state.lock();
        while state.items == 0 {
            if state.closed {
                return None;
            }
            self.ready.wait(&mut state);
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < max_items.max(1) && (taken.is_empty() || bytes < max_bytes) {
            let Some((item, size)) = state.next() else {
                break;
            };
            taken.push(item);
            bytes += size;
        }
        Some(taken)
    }

    /// Refuses new items; those that wait are still taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_all();
    }
}

impl<T> State<T> {
    fn next(&mut self) -> Option<(T, usize)> {
        let store = self.turns.pop_front()?;
        let line = self.lines.get_mut(&store)?;
        let (item, bytes) = line.items.pop_front()?;
        line.bytes -= bytes;
        self.items -= 1;
        self.bytes -= bytes;
        if line.items.is_empty() {
            self.lines.remove(&store);
        } else {
            self.turns.push_back(store);
        }
        Some((item, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QueueLimits = QueueLimits {
        items: 8,
        bytes: 100,
        items_per_store: 5,
        bytes_per_store: 60,
    };

    #[test]
    fn stores_take_turns_and_each_keeps_its_order() {
        let (a, b, c) = (StoreId::random(), StoreId::random(), StoreId::random());
        let queue = FairQueue::new(LIMITS);
        for (store, item) in [
            (a, "a1"),
            (a, "a2"),
            (a, "a3"),
            (b, "b1"),
            (c, "c1"),
            (b, "b2"),
        ] {
            queue.push(store, item, 1).unwrap();
        }
        assert_eq!(queue.take(4, 100).unwrap(), ["a1", "b1", "c1", "a2"]);
        assert_eq!(queue.take(4, 100).unwrap(), ["b2", "a3"]);
    }

    #[test]
    fn one_store_cannot_fill_the_queue() {
        let (a, b) = (StoreId::random(), StoreId::random());
        let queue = FairQueue::new(LIMITS);
        for item in 0..5 {
            queue.push(a, item, 1).unwrap();
        }
        assert_eq!(queue.push(a, 5, 1), Err(Refused::Full));
        queue.push(b, 0, 1).unwrap();
        assert_eq!(
            queue.push(b, 1, 60),
            Err(Refused::Full),
            "its share of bytes"
        );
    }

    #[test]
    fn bytes_and_items_are_bounded_and_freed() {
        let queue = FairQueue::new(LIMITS);
        queue.push(StoreId::random(), 0, 90).unwrap();
        assert_eq!(queue.push(StoreId::random(), 1, 11), Err(Refused::Full));
        assert_eq!(queue.take(8, 100).unwrap(), [0]);
        for item in 0..8 {
            queue.push(StoreId::random(), item, 1).unwrap();
        }
        assert_eq!(queue.push(StoreId::random(), 8, 1), Err(Refused::Full));
    }

    #[test]
    fn a_batch_ends_where_its_bytes_are_reached() {
        let queue = FairQueue::new(LIMITS);
        for item in 0..3 {
            queue.push(StoreId::random(), item, 30).unwrap();
        }
        assert_eq!(queue.take(8, 50).unwrap().len(), 2);
    }

    #[test]
    fn what_waits_at_closing_is_still_taken() {
        let queue = FairQueue::new(LIMITS);
        queue.push(StoreId::random(), 1, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(StoreId::random(), 2, 1), Err(Refused::Closed));
        assert_eq!(queue.take(8, 100), Some(vec![1]));
        assert_eq!(queue.take(8, 100), None);
    }
}
