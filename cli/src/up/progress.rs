//! What takes long is shown, on standard error.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a line is written anew.
const TICK: Duration = Duration::from_millis(200);
/// What is done sooner needs no line.
const PATIENCE: Duration = Duration::from_millis(300);

/// Runs `work`, and shows `what` and the time it has taken so far, once that is worth it.
pub async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let live = std::io::stderr().is_terminal();
    let mut work = std::pin::pin!(work);
    let mut visible = false;
    let result = loop {
        let wait = if visible { TICK } else { PATIENCE };
        match tokio::time::timeout(wait, &mut work).await {
            Ok(result) => break result,
            Err(_) if live => write(&format!(
                "\r\x1b[K{what} {:.0} s",
                started.elapsed().as_secs_f64()
            )),
            Err(_) if !visible => write(&format!("{what} ...\n")),
            Err(_) => {}
        }
        visible = true;
    };
    if visible {
        let erase = if live { "\r\x1b[K" } else { "" };
        write(&format!(
            "{erase}{what}: {:.1} s\n",
            started.elapsed().as_secs_f64()
        ));
    }
    result
}

fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // Progress is a courtesy: a closed standard error does not stop the work.
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_of_the_work_comes_back() {
        assert_eq!(shown("Working", async { 7 }).await, 7);
    }
}
