//! How a child ended, and what an App's developer is told about it.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use shoal_artifact::{Reason, Refusal};

use super::CompileLimits;

/// Exit codes of the child. Others, and signals, mean that it crashed.
pub(super) mod code {
    /// The input is not valid; standard error says why.
    pub(in super::super) const INVALID: u8 = 10;
    /// Memory ran out in a place that reports it.
    pub(in super::super) const MEMORY: u8 = 11;
    /// The sandbox could not be set up; standard error says why. Nothing was read.
    pub(in super::super) const NO_SANDBOX: u8 = 12;
    /// Nobody reads what it makes.
    pub(in super::super) const UNREAD: u8 = 13;
}

/// Asking again may help where the machine, not the component, may be to blame.
const RETRY: Duration = Duration::from_secs(300);
const RETRY_SOON: Duration = Duration::from_secs(15);

/// Why there is no result.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It ran past its wall-clock limit and was killed.
    Timeout,
    /// It wrote more than it may.
    OutputTooLarge,
    /// It ended by itself or by a signal that was not ours.
    Ended {
        /// How.
        status: ExitStatus,
        /// The beginning of what it said.
        stderr: String,
    },
    /// The parent could not start it or talk to it.
    Io(String),
    /// The builder ends.
    Closed,
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl Failure {
    /// What a developer is told. `subject` names the component.
    pub fn refusal(&self, subject: &str, limits: &CompileLimits) -> Refusal {
        let memory = limits.memory_bytes >> 20;
        match self {
            Self::Timeout => Refusal::new(
                Reason::CompileTimeout,
                format!(
                    "compiling {subject} took longer than {} s",
                    limits.timeout.as_secs()
                ),
            )
            .retry_after(RETRY),
            Self::OutputTooLarge => Refusal::new(
                Reason::CompileLimitExceeded,
                format!(
                    "the code of {subject} is larger than {} MiB",
                    limits.output_bytes >> 20
                ),
            ),
            Self::Io(error) => Refusal::new(
                Reason::BuilderUnavailable,
                format!("the builder could not compile {subject}: {error}"),
            )
            .retry_after(RETRY_SOON),
            Self::Closed => {
                Refusal::new(Reason::BuilderUnavailable, "the builder is shutting down")
                    .retry_after(RETRY_SOON)
            }
            Self::Ended { status, stderr } => match (status.code(), status.signal()) {
                (Some(exit), _) if exit == i32::from(code::INVALID) => Refusal::new(
                    Reason::InvalidWasm,
                    format!("{subject} is not valid WebAssembly: {}", one_line(stderr)),
                ),
                (Some(exit), _) if exit == i32::from(code::MEMORY) => {
                    too_much_memory(subject, memory)
                }
                (Some(exit), _) if exit == i32::from(code::NO_SANDBOX) => Refusal::new(
                    Reason::BuilderUnavailable,
                    format!(
                        "the builder cannot confine its compiler: {}",
                        one_line(stderr)
                    ),
                )
                .retry_after(RETRY),
                (_, Some(libc::SIGXCPU)) => Refusal::new(
                    Reason::CompileLimitExceeded,
                    format!(
                        "compiling {subject} took more than {} s of processor time",
                        limits.cpu_seconds
                    ),
                ),
                // Rust's own words when an allocation fails.
                (_, Some(libc::SIGABRT)) if stderr.contains("memory allocation of") => {
                    too_much_memory(subject, memory)
                }
                (_, Some(libc::SIGKILL)) => Refusal::new(
                    Reason::CompilerCrashed,
                    format!(
                        "the compiler was killed while it worked on {subject}; the builder may be \
                         short of memory"
                    ),
                )
                .retry_after(RETRY),
                _ => Refusal::new(
                    Reason::CompilerCrashed,
                    format!(
                        "the compiler crashed on {subject} ({status}): {}",
                        one_line(stderr)
                    ),
                )
                .retry_after(RETRY),
            },
        }
    }
}

fn too_much_memory(subject: &str, mebibytes: u64) -> Refusal {
    let message = format!("compiling {subject} took more than {mebibytes} MiB of memory");
    Refusal::new(Reason::CompileLimitExceeded, message)
}

/// The child's words in one line, without what a terminal or a log would act upon.
fn one_line(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty());
    words
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(500)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(raw: i32, stderr: &str) -> Reason {
        let ended = Failure::Ended {
            status: ExitStatus::from_raw(raw),
            stderr: stderr.into(),
        };
        ended
            .refusal("component `a`", &CompileLimits::default())
            .reason
    }

    #[test]
    fn each_end_has_its_own_reason() {
        assert_eq!(
            reason(i32::from(code::INVALID) << 8, "bad"),
            Reason::InvalidWasm
        );
        assert_eq!(
            reason(i32::from(code::MEMORY) << 8, ""),
            Reason::CompileLimitExceeded
        );
        assert_eq!(reason(libc::SIGXCPU, ""), Reason::CompileLimitExceeded);
        assert_eq!(
            reason(libc::SIGABRT, "memory allocation of 9 bytes failed"),
            Reason::CompileLimitExceeded
        );
        assert_eq!(
            reason(libc::SIGABRT, "overflowed its stack"),
            Reason::CompilerCrashed
        );
        assert_eq!(reason(libc::SIGSEGV, ""), Reason::CompilerCrashed);
        assert_eq!(reason(101 << 8, "panicked"), Reason::CompilerCrashed);
        assert_eq!(
            reason(i32::from(code::NO_SANDBOX) << 8, ""),
            Reason::BuilderUnavailable
        );
    }

    #[test]
    fn the_words_of_a_child_come_out_as_one_plain_line() {
        assert_eq!(one_line("a\n\tb \u{1b}[31m\0c"), "a b [31m c");
        assert!(one_line(&"x".repeat(10_000)).len() == 500);
    }
}
