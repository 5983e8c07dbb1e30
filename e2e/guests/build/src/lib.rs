//! Builds the WebAssembly guests of `e2e/guests` and `examples`, and makes variants of them.
//!
//! What was built is kept in `~/.cache/shoal` (or `$XDG_CACHE_HOME/shoal`) under a hash of the
//! sources and the toolchain, so that an unchanged tree builds nothing, also after `cargo clean`.
//!
//! The toolchain is the `rustc` on `PATH` if it has the WASI targets, or can get them from rustup.
//! Where it cannot, on Debian 12, Debian's own Rust and wasi-libc are unpacked into the cache;
//! nothing is installed. `SHOAL_GUESTS_TOOLCHAIN=debian` asks for that at once.

mod build;
mod cache;
mod checkout;
mod debian;
mod encode;
mod fingerprint;
mod guest;
mod handler;
mod process;
mod toolchain;
mod variant;

pub use build::{build_all, path};
pub use variant::{distinct, huge_component};
