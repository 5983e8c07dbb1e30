//! The one configuration of Wasmtime.

use crate::EngineKey;

/// Settings that compiled code depends on, for builder and runtime alike.
///
/// The runtime adds what code does not depend on (the instance pool, stack sizes) to the result.
/// Anything changed here raises `SETTINGS_VERSION` in `key.rs`.
///
/// # Errors
/// The target is not one that the linked Wasmtime can make or run code for.
pub fn config(key: &EngineKey) -> Result<wasmtime::Config, wasmtime::Error> {
    let mut config = wasmtime::Config::new();
    // Without an explicit target the builder would use every feature of its own CPU, and a runtime
    // on another node would refuse the code. On the host itself the runtime states the same target.
    config.target(key.target().triple())?;
    config.epoch_interruption(true);
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    // Not offered to guests: each is attack surface that no supported toolchain needs for HTTP.
    // Threads are not even compiled in (Cargo feature `threads` of wasmtime).
    config.shared_memory(false);
    config.wasm_memory64(false);
    // Unloading thousands of modules with unwind tables registered is quadratic.
    config.native_unwind_info(false);
    // Backtraces of guests name functions, not addresses in source files.
    config.generate_address_map(false);
    config.memory_init_cow(true);
    // The default depends on where the process runs; code must not.
    config.signals_based_traps(true);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_the_host_is_made_from_the_settings() {
        let key = EngineKey::host().unwrap();
        wasmtime::Engine::new(&config(&key).unwrap()).unwrap();
    }
}
