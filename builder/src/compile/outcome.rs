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
        match self {
            Self::Timeout => Refusal::new(
                Reason::CompileTimeout,
                format!(
                    "compiling {subject} took longer than {} s",
                    limits.timeout.as_secs()
                ),
            )
            .retry_after(RETRY),
            Self::OutputTooLarge => exceeded(format!(
                "the code of {subject} is larger than {} MiB",
                limits.output_bytes >> 20
            )),
            Self::Io(error) => {
                unavailable(format!("the builder could not compile {subject}: {error}"))
            }
            Self::Closed => unavailable("the builder is shutting down".into()),
            Self::Ended { status, stderr } => match status.code().map(u8::try_from) {
                Some(Ok(exit)) => exited(exit, stderr, subject, limits),
                _ => killed(*status, stderr, subject, limits),
            },
        }
    }
}

/// It ended by itself.
fn exited(exit: u8, stderr: &str, subject: &str, limits: &CompileLimits) -> Refusal {
    let said = one_line(stderr);
    match exit {
        code::INVALID => Refusal::new(
            Reason::InvalidWasm,
            format!("{subject} is not valid WebAssembly: {said}"),
        ),
        code::MEMORY => too_much_memory(subject, limits),
        code::NO_SANDBOX => unavailable(format!("the builder cannot confine its compiler: {said}")),
        _ => crashed(format!(
            "the compiler crashed on {subject} (exit code {exit}): {said}"
        )),
    }
}

/// A signal ended it.
fn killed(status: ExitStatus, stderr: &str, subject: &str, limits: &CompileLimits) -> Refusal {
    match status.signal() {
        Some(libc::SIGXCPU) => exceeded(format!(
            "compiling {subject} took more than {} s of processor time",
            limits.cpu_seconds
        )),
        // Rust's own words when an allocation fails.
        Some(libc::SIGABRT) if stderr.contains("memory allocation of") => {
            too_much_memory(subject, limits)
        }
        Some(libc::SIGKILL) => crashed(format!(
            "the compiler was killed while it worked on {subject}; the builder may be short of \
             memory"
        )),
        _ => crashed(format!(
            "the compiler crashed on {subject} ({status}): {}",
            one_line(stderr)
        )),
    }
}

fn exceeded(message: String) -> Refusal {
    Refusal::new(Reason::CompileLimitExceeded, message)
}

fn crashed(message: String) -> Refusal {
    Refusal::new(Reason::CompilerCrashed, message).retry_after(RETRY)
}

fn unavailable(message: String) -> Refusal {
    Refusal::new(Reason::BuilderUnavailable, message).retry_after(RETRY_SOON)
}

fn too_much_memory(subject: &str, limits: &CompileLimits) -> Refusal {
    exceeded(format!(
        "compiling {subject} took more than {} MiB of memory",
        limits.memory_bytes >> 20
    ))
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
