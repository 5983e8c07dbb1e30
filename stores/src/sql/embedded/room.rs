//! A bound on what all answers together hold in memory until they are sent.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sql::value::Room;

/// Bytes of all answers that are not small.
const BUDGET: usize = 64 << 20;
/// What is taken at a time; an answer below it takes nothing.
const STEP: usize = 64 << 10;

/// The bound; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Rooms(Arc<Semaphore>);

/// The room of an answer that grows.
#[derive(Debug)]
pub(super) struct Growing {
    rooms: Rooms,
    permit: Option<OwnedSemaphorePermit>,
    steps: usize,
}

impl Rooms {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET / STEP)))
    }

    pub(super) fn start(&self) -> Growing {
        Growing {
            rooms: self.clone(),
            permit: None,
            steps: 0,
        }
    }
}

impl Growing {
    /// Makes room for `bytes` in all; `false`: others have it.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        while bytes / STEP > self.steps {
            let Ok(more) = Arc::clone(&self.rooms.0).try_acquire_owned() else {
                return false;
            };
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            }
            self.steps += 1;
        }
        true
    }

    pub(super) fn done(self) -> Room {
        Room(self.permit.map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_share_a_bound_and_give_back_what_they_took() {
        let rooms = Rooms::new();
        let mut small = rooms.start();
        assert!(small.grow(STEP - 1));
        assert!(small.done().0.is_none());
        let mut large = rooms.start();
        assert!(large.grow(BUDGET / 2));
        let held = large.done();
        let mut other = rooms.start();
        assert!(!other.grow(BUDGET / 2 + STEP));
        drop(held);
        assert!(other.grow(BUDGET));
    }
}
