use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::Response;
use wasip3::wit_stream;

use crate::bodies::text;

pub fn streams(count: &str) -> Response {
    let count: usize = count.parse().unwrap_or(1);
    let kept: Vec<_> = (0..count).map(|_| wit_stream::new::<u8>()).collect();
    text(&format!("{} streams\n", kept.len()))
}

/// All of them wait at once.
pub async fn calls(count: &str) -> Response {
    let count: usize = count.parse().unwrap_or(1);
    let mut waiting: Vec<_> = (0..count).map(|_| Box::pin(wait_for(1_000_000))).collect();
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|wait| wait.as_mut().poll(cx).is_pending());
        match waiting.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    text(&format!("{count} calls\n"))
}
