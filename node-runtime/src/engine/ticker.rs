//! The clock of guests: one thread that raises the engine's epoch, so that a guest that computes
//! gives way to others. It rests while no guest runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::{Engine, EngineWeak};

/// How long a guest computes before others get their turn.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a guest after which the thread rests.
const REST_AFTER: u32 = 256;

/// What runs, and the thread that times it.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicU32,
    resting: AtomicBool,
    /// Ticks since a guest last started.
    quiet: AtomicU32,
}

/// Starts the thread. It ends with the engine.
pub(super) fn start(engine: &Engine) -> std::io::Result<Ticker> {
    let shared = Arc::new(Shared::default());
    let (weak, state) = (engine.weak(), Arc::clone(&shared));
    let thread = thread::Builder::new()
        .name("shoal-epoch".into())
        .spawn(move || run(&weak, &state))?;
    Ok(Ticker {
        shared,
        thread: thread.thread().clone(),
    })
}

impl Ticker {
    /// Counts `more` as running; gives how many ran before.
    pub(super) fn add(&self, more: u32) -> u32 {
        let before = self.shared.running.fetch_add(more, Ordering::SeqCst);
        if self.shared.quiet.load(Ordering::Relaxed) != 0 {
            self.shared.quiet.store(0, Ordering::Relaxed);
        }
        if self.shared.resting.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        before
    }

    /// Counts `fewer` as running no more.
    pub(super) fn remove(&self, fewer: u32) {
        self.shared.running.fetch_sub(fewer, Ordering::SeqCst);
    }

    /// How many run.
    pub(super) fn running(&self) -> u32 {
        self.shared.running.load(Ordering::Relaxed)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // So that a resting thread sees that the engine is gone.
        self.thread.unpark();
    }
}

fn run(engine: &EngineWeak, shared: &Shared) {
    loop {
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        drop(engine);
        if shared.running.load(Ordering::SeqCst) > 0 {
            continue;
        }
        if shared.quiet.fetch_add(1, Ordering::Relaxed) >= REST_AFTER {
            rest(shared);
        }
    }
}

fn rest(shared: &Shared) {
    shared.resting.store(true, Ordering::SeqCst);
    // A guest that started before it could see `resting` is seen here.
    if shared.running.load(Ordering::SeqCst) == 0 {
        // Bounded, so that the thread of an engine that is gone ends.
        thread::park_timeout(Duration::from_secs(5));
    }
    shared.resting.store(false, Ordering::SeqCst);
}
