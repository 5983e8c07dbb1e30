//! What the two sides of a request share: the connection's and the guest's.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::Response;
use parking_lot::Mutex;
use wasmtime_wasi_http::WasiBody;

/// A response that begins, or the WIT name of the error that the guest gave instead.
pub(super) type GuestResponse = Result<Response<WasiBody>, String>;

/// State of one request.
#[derive(Default)]
pub(super) struct Exchange {
    response: Mutex<Option<GuestResponse>>,
    /// The guest is gone and its response body was not finished.
    unfinished: AtomicBool,
    body_too_large: AtomicBool,
    /// When a byte of a body last moved, in milliseconds of [`now`].
    moved: AtomicU64,
}

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            moved: AtomicU64::new(now()),
            ..Self::default()
        }
    }

    /// The guest's answer; the first counts, as the interface allows only one.
    pub(super) fn respond(&self, response: GuestResponse) {
        self.response.lock().get_or_insert(response);
    }

    pub(super) fn take_response(&self) -> Option<GuestResponse> {
        self.response.lock().take()
    }

    pub(super) fn set_unfinished(&self) {
        self.unfinished.store(true, Ordering::Release);
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished.load(Ordering::Acquire)
    }

    pub(super) fn set_body_too_large(&self) {
        self.body_too_large.store(true, Ordering::Release);
    }

    pub(super) fn is_body_too_large(&self) -> bool {
        self.body_too_large.load(Ordering::Acquire)
    }

    /// A byte of a body moved, one way or the other.
    pub(super) fn moved(&self) {
        self.moved.store(now(), Ordering::Relaxed);
    }

    /// How much longer no byte may move.
    pub(super) fn patience(&self, idle: Duration) -> Duration {
        let still = now().saturating_sub(self.moved.load(Ordering::Relaxed));
        idle.saturating_sub(Duration::from_millis(still))
    }
}

/// Milliseconds since the first call in this process.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}
