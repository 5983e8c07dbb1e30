//! What guests print, on standard error: standard output is for what the command itself answers.

use std::io::Write as _;
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Context as _, Result};
use shoal_runtime::{OutputRecord, OutputSink};

/// Lines that wait for a slow terminal; more are dropped, and counted by the runtime.
const WAITING: usize = 4096;

/// Writes `app/component: line`, by a thread of its own.
pub struct Lines {
    queue: SyncSender<String>,
}

impl Lines {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> Result<Self> {
        let (queue, lines) = sync_channel::<String>(WAITING);
        std::thread::Builder::new()
            .name("shoal-output".into())
            .spawn(move || {
                for line in lines {
                    // A closed standard error is no reason to stop serving.
                    let _ = std::io::stderr().write_all(line.as_bytes());
                }
            })
            .context("cannot start a thread for what apps print")?;
        Ok(Self { queue })
    }
}

impl OutputSink for Lines {
    fn line(&self, record: &OutputRecord<'_>) -> bool {
        self.queue.try_send(text(record)).is_ok()
    }
}

fn text(record: &OutputRecord<'_>) -> String {
    let dropped = match record.dropped {
        0 => String::new(),
        count => format!("({count} lines were dropped) "),
    };
    // A guest must not steer the terminal.
    let message: String = record
        .message
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    let place = if record.component == record.app {
        record.app.to_owned()
    } else {
        format!("{}/{}", record.app, record.component)
    };
    format!("{place}: {dropped}{message}\n")
}

#[cfg(test)]
mod tests {
    use shoal_runtime::Stream;

    use super::*;

    fn record<'a>(component: &'a str, message: &'a str, dropped: u64) -> OutputRecord<'a> {
        let (namespace, app, request) = ("default", "shop", "1");
        let stream = Stream::Stdout;
        OutputRecord {
            time: 0,
            namespace,
            app,
            component,
            request,
            stream,
            message,
            dropped,
        }
    }

    #[test]
    fn a_line_names_its_component_where_that_is_not_the_app() {
        assert_eq!(text(&record("shop", "hello", 0)), "shop: hello\n");
        assert_eq!(
            text(&record("api", "hello", 3)),
            "shop/api: (3 lines were dropped) hello\n"
        );
    }

    #[test]
    fn a_guest_cannot_steer_the_terminal() {
        assert!(!text(&record("shop", "\u{1b}[2J", 0)).contains('\u{1b}'));
    }
}
