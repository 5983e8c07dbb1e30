//! What builder and runtime must agree on: how code is compiled, what it is called, who signed it.
//!
//! Builder and runtime link different builds of Wasmtime (with and without a compiler). Code made by
//! the one is loaded by the other, so one function makes the configuration of both ([`config`]) and
//! one string, the [`EngineKey`], names everything that must be equal.

mod key;
mod settings;
mod signature;

pub use key::{CpuBaseline, EngineKey, InvalidEngineKey, Target};
pub use settings::config;
pub use signature::{BadSignature, SIGNATURE_BYTES, Verifier, signed_message};
