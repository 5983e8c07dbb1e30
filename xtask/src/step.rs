//! What is being done and for how long: one line a step.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use shoal_cluster::progress::{Progress as _, Terminal};

/// A step under way. What it says last stands on its line when it has ended.
#[derive(Default)]
pub struct Step {
    note: RefCell<String>,
}

impl Step {
    /// Sets what stands beside the step's name in the end.
    pub fn say(&self, note: impl Into<String>) {
        *self.note.borrow_mut() = note.into();
    }

    fn line(&self, name: &str) -> String {
        let note = self.note.borrow();
        if note.is_empty() {
            name.to_owned()
        } else {
            format!("{name}: {note}")
        }
    }
}

/// Runs `work`, showing `name` and the time it takes.
///
/// # Errors
/// Those of `work`.
pub fn step<T>(name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    judged(name, work, Result::is_ok)
}

/// As [`step`], with `good` saying whether the result is a success.
pub fn judged<T>(name: &str, work: impl FnOnce(&Step) -> T, good: impl FnOnce(&T) -> bool) -> T {
    let terminal = Terminal::default();
    let step = Step::default();
    let started = Instant::now();
    terminal.started(name);
    let result = work(&step);
    let line = step.line(name);
    if good(&result) {
        terminal.finished(&line, started.elapsed());
    } else {
        terminal.failed(&line, started.elapsed());
    }
    result
}

/// `0.4s`, `12.3s`, `3m07s`.
pub fn seconds(elapsed: Duration) -> String {
    let whole = elapsed.as_secs();
    if whole < 60 {
        format!("{:.1}s", elapsed.as_secs_f64())
    } else {
        format!("{}m{:02}s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_at_every_size() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4s");
        assert_eq!(seconds(Duration::from_secs(59)), "59.0s");
        assert_eq!(seconds(Duration::from_secs(187)), "3m07s");
    }

    #[test]
    fn a_line_holds_the_name_and_what_was_said_last() {
        let step = Step::default();
        assert_eq!(step.line("Load the image"), "Load the image");
        step.say("loading");
        step.say("already there");
        assert_eq!(step.line("Load the image"), "Load the image: already there");
    }

    #[test]
    fn a_failing_step_gives_its_error_back() {
        let result: Result<()> = step("Fail", |_| anyhow::bail!("no"));
        assert_eq!(result.unwrap_err().to_string(), "no");
    }
}
