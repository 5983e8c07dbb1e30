//! How a guest ended, if not well.

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::Refusal;
use crate::engine::Refused;

/// Why a guest is no more.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// One word, for metrics.
    pub(super) reason: &'static str,
    /// For the log.
    pub(super) message: String,
    /// For the client, if no response has begun.
    pub(super) refusal: Refusal,
}

impl Failure {
    /// What an error of Wasmtime means. `started`: the guest was running already. `refused`: what
    /// kept its memory from growing, if something did.
    pub(super) fn new(error: &wasmtime::Error, started: bool, refused: Option<Refused>) -> Self {
        let message: String = format!("{error:#}").chars().take(2000).collect();
        if let Some(refused) = refused {
            let refusal = match refused {
                Refused::App | Refused::Node if !started => Refusal::Memory,
                _ => Refusal::Trapped,
            };
            let message = format!("{message} (memory could not grow past {})", refused.bound());
            return Self {
                reason: "memory",
                message,
                refusal,
            };
        }
        let reason = match (
            error.downcast_ref::<Trap>(),
            error.downcast_ref::<I32Exit>(),
        ) {
            (Some(trap), _) => name(*trap),
            (None, Some(_)) => "exit",
            (None, None) if started => "host",
            (None, None) => "instantiation",
        };
        Self {
            reason,
            message,
            refusal: Refusal::Trapped,
        }
    }

    /// The runtime itself failed while it ran a guest.
    pub(super) fn panic() -> Self {
        Self {
            reason: "panic",
            message: "the runtime panicked while it ran the guest; this is a fault of the runtime"
                .into(),
            refusal: Refusal::Internal,
        }
    }
}

fn name(trap: Trap) -> &'static str {
    match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::StackOverflow => "stack-overflow",
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned | Trap::TableOutOfBounds => "out-of-bounds",
        Trap::IndirectCallToNull | Trap::BadSignature => "bad-call",
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            "arithmetic"
        }
        _ => "trap",
    }
}
