//! A `shoal-store` over gRPC, and what it keeps in memory.

use super::Backend;

pub async fn start() -> Result<Box<dyn Backend>, String> {
    super::remote::start_in_memory().await
}
