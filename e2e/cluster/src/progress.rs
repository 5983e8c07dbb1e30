//! What a person sees while something takes its time: one line a step, and how long it took.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Receives what is being done. Steps follow one another; they do not nest.
pub trait Progress: Sync {
    /// A step began; it is in progress until [`Progress::finished`] or [`Progress::failed`].
    fn started(&self, step: &str);
    /// The step that began last has succeeded.
    fn finished(&self, step: &str, took: Duration);
    /// The step that began last has failed; its error goes to the caller.
    fn failed(&self, step: &str, took: Duration);
    /// Something that the person should know, and that is no step.
    fn note(&self, text: &str);
}

/// Runs `work` as one step of `progress`.
///
/// # Errors
/// What `work` returns.
pub fn step<T>(
    progress: &dyn Progress,
    name: &str,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    progress.started(name);
    let begun = Instant::now();
    let result = work();
    match &result {
        Ok(_) => progress.finished(name, begun.elapsed()),
        Err(_) => progress.failed(name, begun.elapsed()),
    }
    result
}

/// Shows nothing: for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _step: &str) {}
    fn finished(&self, _step: &str, _took: Duration) {}
    fn failed(&self, _step: &str, _took: Duration) {}
    fn note(&self, _text: &str) {}
}

/// Writes to standard error, so that standard output stays for what a command answers.
///
/// On a terminal the line of the running step counts the seconds; elsewhere a step that takes
/// long is announced once when it begins and once when it ends.
#[derive(Debug)]
pub struct Terminal {
    live: bool,
    ticker: Mutex<Option<Ticker>>,
}

#[derive(Debug)]
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// How often the line of a running step is written anew.
const TICK: Duration = Duration::from_millis(200);
/// Where nobody watches, a step is announced only when it takes longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

impl Default for Terminal {
    fn default() -> Self {
        Self {
            live: std::io::stderr().is_terminal(),
            ticker: Mutex::new(None),
        }
    }
}

impl Terminal {
    fn tick(&self, step: &str) {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, step, live) = (Arc::clone(&stop), step.to_owned(), self.live);
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            let mut announced = false;
            while !told.load(Ordering::Acquire) {
                if live {
                    write_line(
                        &format!("\r\x1b[K  {} {step}", elapsed(begun.elapsed())),
                        false,
                    );
                } else if !announced && begun.elapsed() > PATIENCE {
                    write_line(&format!("  {:>7} {step} ...", ""), true);
                    announced = true;
                }
                std::thread::park_timeout(TICK);
            }
        });
        self.replace(Some(Ticker { stop, thread }));
    }

    fn replace(&self, next: Option<Ticker>) {
        let previous = match self.ticker.lock() {
            Ok(mut ticker) => std::mem::replace(&mut *ticker, next),
            Err(poisoned) => std::mem::replace(&mut *poisoned.into_inner(), next),
        };
        if let Some(Ticker { stop, thread }) = previous {
            stop.store(true, Ordering::Release);
            thread.thread().unpark();
            // A ticker that panicked has written its last line; the step goes on.
            let _ = thread.join();
        }
    }

    fn end(&self, step: &str, took: Duration, mark: &str) {
        self.replace(None);
        let erase = if self.live { "\r\x1b[K" } else { "" };
        write_line(&format!("{erase}{mark} {} {step}", elapsed(took)), true);
    }
}

impl Progress for Terminal {
    fn started(&self, step: &str) {
        self.tick(step);
    }

    fn finished(&self, step: &str, took: Duration) {
        self.end(step, took, "✓");
    }

    fn failed(&self, step: &str, took: Duration) {
        self.end(step, took, "✗");
    }

    fn note(&self, text: &str) {
        write_line(&format!("! {text}"), true);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.replace(None);
    }
}

fn write_line(text: &str, end: bool) {
    let mut stderr = std::io::stderr().lock();
    // Progress is a courtesy: a closed standard error does not stop the work.
    let _ = if end {
        writeln!(stderr, "{text}")
    } else {
        write!(stderr, "{text}")
    };
    let _ = stderr.flush();
}

/// `12.3s`, or `3m05s`, always seven characters wide.
fn elapsed(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds < 60 {
        format!("{:>6.1}s", took.as_secs_f64())
    } else {
        format!("{:>7}", format!("{}m{:02}s", seconds / 60, seconds % 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_times_line_up() {
        assert_eq!(elapsed(Duration::from_millis(340)), "   0.3s");
        assert_eq!(elapsed(Duration::from_secs(185)), "  3m05s");
        assert_eq!(
            elapsed(Duration::from_secs(59)).len(),
            elapsed(Duration::from_secs(600)).len()
        );
    }

    #[test]
    fn a_failing_step_hands_its_error_on() {
        let result: anyhow::Result<()> = step(&Silent, "a step", || anyhow::bail!("no"));
        assert_eq!(result.unwrap_err().to_string(), "no");
    }
}
