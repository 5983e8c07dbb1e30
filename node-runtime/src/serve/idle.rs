//! A timer that is made only when something waits.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Deadlines that differ by less are the same.
const ROUNDING: Duration = Duration::from_millis(5);

/// Fires when what it watches has had no patience left for a while.
#[derive(Default)]
pub(crate) struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Ready once `patience` gives zero. Where it only ever grows, the timer is set anew no more
    /// often than it fires, so that progress costs next to nothing.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        patience: impl Fn() -> Duration,
    ) -> Poll<()> {
        let left = patience();
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep(left)));
        let deadline = Instant::now() + left;
        if timer.deadline() > deadline + ROUNDING {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let left = patience();
            if left.is_zero() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + left);
        }
        Poll::Pending
    }
}
