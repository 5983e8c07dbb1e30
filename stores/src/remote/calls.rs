//! One call: its deadline, what it may hold in memory, and when it is made again.

use std::{
    error::Error,
    future::Future,
    marker::PhantomData,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::{Response, Status};

use crate::{StoreId, gate::Gate, wire};

/// Time between two attempts of a call.
pub(super) const AGAIN: Duration = Duration::from_millis(100);
/// A store that has been away for this long fails calls at once: those who wait would only pile up.
const PATIENCE: Duration = Duration::from_secs(10);

/// When a call that found no store is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing.
    Always,
    /// Only if it was never sent: it may have been done, and doing it twice is another thing.
    Unsent,
}

/// See the module.
/// `C`: a client of one of the store's services; `E`: its errors.
pub(crate) struct Calls<C, E> {
    client: C,
    /// Every call ends by then.
    deadline: Duration,
    gate: Gate,
    away_since: Mutex<Option<Instant>>,
    errors: PhantomData<fn() -> E>,
}

/// Why a call failed, in the words of its interface.
pub(crate) trait CallError {
    /// What a status means.
    fn of(status: &Status) -> Self;
    /// The store did not answer; the text says how long.
    fn unavailable(why: String) -> Self;
}

impl<C: Clone, E: CallError> Calls<C, E> {
    /// At most so many calls of one Store are under way.
    pub(crate) fn new(client: C, deadline: Duration, calls_per_store: u32) -> Self {
        Self {
            client,
            deadline,
            gate: Gate::new(calls_per_store),
            away_since: Mutex::new(None),
            errors: PhantomData,
        }
    }

    /// Makes a call on `store`, again where `repeat` allows and the store is not there.
    pub(crate) async fn run<Q, A, F>(
        &self,
        store: StoreId,
        repeat: Repeat,
        request: Q,
        call: impl Fn(C, Q) -> F,
    ) -> Result<A, E>
    where
        Q: Message + Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let attempts = async {
            let _passed = self.gate.pass(store, request.encoded_len()).await;
            loop {
                match call(self.client.clone(), request.clone()).await {
                    Ok(answer) => {
                        self.back();
                        return Ok(answer.into_inner());
                    }
                    Err(status) if wire::is_answer(&status) => {
                        self.back();
                        return Err(E::of(&status));
                    }
                    Err(status) => {
                        tracing::debug!(%status, "a call to the store failed");
                        let again = repeat == Repeat::Always || was_not_sent(&status);
                        if !is_of_the_connection(&status) || !again || self.long_away() {
                            return Err(E::of(&status));
                        }
                    }
                }
                sleep(AGAIN).await;
            }
        };
        timeout(self.deadline, attempts).await.unwrap_or_else(|_| {
            let seconds = self.deadline.as_secs();
            Err(E::unavailable(format!(
                "it did not answer within {seconds} s"
            )))
        })
    }

    fn back(&self) {
        *self.away_since.lock() = None;
    }

    fn long_away(&self) -> bool {
        self.away_since
            .lock()
            .get_or_insert_with(Instant::now)
            .elapsed()
            >= PATIENCE
    }
}

/// Whether this side made the status up, for want of an answer. A status from the wire has no source.
fn is_of_the_connection(status: &Status) -> bool {
    status.source().is_some()
}

/// Whether there was no connection to send the call on.
pub(super) fn was_not_sent(status: &Status) -> bool {
    let mut error: Option<&(dyn Error + 'static)> = status.source();
    while let Some(cause) = error {
        if cause.is::<tonic::ConnectError>() {
            return true;
        }
        error = cause.source();
    }
    false
}
