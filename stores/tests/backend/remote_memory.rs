//! A `shoal-store` over gRPC, and what it keeps in memory.

pub use super::remote::start_in_memory as start;
