//! One guest's turns: when it may run, and what becomes of a wake-up while it may not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Wake, Waker},
};

use futures::task::AtomicWaker;

use super::{Share, clock::Clock};

/// It waits for something that is not the processor.
const IDLE: u8 = 0;
/// It wants to run, and will see at its next poll whether it may.
const READY: u8 = 1;
/// It waits in the queue of its app.
const QUEUED: u8 = 2;
/// Its turn has come.
const GRANTED: u8 = 3;
/// It runs.
const RUNNING: u8 = 4;
/// It runs, and wants to go on when its turn is over.
const WOKEN: u8 = 5;
/// It is no more.
const GONE: u8 = 6;

/// A guest, as far as turns go. It is what the guest wakes; what polls the guest is woken when it may run.
pub(crate) struct Turn {
    share: Arc<Share>,
    state: AtomicU8,
    poller: AtomicWaker,
    /// Its last turn was.
    is_long: AtomicBool,
}

/// A turn under way; it ends with [`Turn::end`].
pub(crate) struct Begun {
    granted: bool,
    clock: Clock,
}

impl Turn {
    /// Of a guest that wants to run.
    pub(crate) fn new(share: Arc<Share>) -> Arc<Self> {
        Arc::new(Self {
            share,
            state: AtomicU8::new(READY),
            poller: AtomicWaker::new(),
            is_long: AtomicBool::new(false),
        })
    }

    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// Begins a turn, if the guest wants one and may have it. Else `poller` is woken when to try again.
    pub(crate) fn begin(self: &Arc<Self>, poller: &Waker) -> Option<Begun> {
        self.poller.register(poller);
        let granted = self.turn_from(GRANTED, RUNNING);
        if !granted {
            if self.state.load(Ordering::Acquire) != READY {
                return None;
            }
            if !self.share.may_run() {
                if self.turn_from(READY, QUEUED) {
                    self.share.turns.wait(Arc::clone(self));
                }
                return None;
            }
            if !self.turn_from(READY, RUNNING) {
                return None;
            }
        }
        Some(Begun {
            granted,
            clock: Clock::start(self.is_long.load(Ordering::Relaxed)),
        })
    }

    /// Ends a turn. `over`: the guest has ended.
    pub(crate) fn end(self: &Arc<Self>, turn: Begun, over: bool) {
        let (nanoseconds, is_long) = turn.clock.stop();
        self.is_long.store(is_long, Ordering::Relaxed);
        self.share.charge(nanoseconds);
        if over {
            self.state.store(GONE, Ordering::Release);
        } else if !self.turn_from(RUNNING, IDLE) && self.turn_from(WOKEN, QUEUED) {
            self.share.turns.wait(Arc::clone(self));
        }
        if turn.granted {
            self.share.turns.give_back();
        }
    }

    /// Its turn has come; not if it is no more.
    pub(super) fn grant(&self) -> bool {
        let granted = self.turn_from(QUEUED, GRANTED);
        if granted {
            self.poller.wake();
        }
        granted
    }

    /// The guest is dropped, wherever it was.
    pub(crate) fn leave(&self) {
        match self.state.swap(GONE, Ordering::AcqRel) {
            QUEUED => self.share.turns.forget(self),
            GRANTED => self.share.turns.give_back(),
            _ => {}
        }
    }

    fn turn_from(&self, from: u8, to: u8) -> bool {
        let turned = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        turned.is_ok()
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        loop {
            if self.turn_from(IDLE, READY) {
                self.poller.wake();
                return;
            }
            if self.turn_from(RUNNING, WOKEN) {
                return;
            }
            // Whoever turned it into something else meanwhile may have turned it into one of these.
            if !matches!(self.state.load(Ordering::Acquire), IDLE | RUNNING) {
                return;
            }
        }
    }
}
