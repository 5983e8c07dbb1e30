//! What runs in the child: confine itself, read, work, write, end.

use std::{
    ffi::OsString,
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use shoal_engine::EngineKey;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;

use super::{CHILD_ARGUMENT, descriptors, outcome::code, sandbox};

/// Runs a compile child, if this process was started as one. Call it first in `main`, before any
/// thread is started:
///
/// ```no_run
/// # fn main() -> std::process::ExitCode {
/// if let Some(code) = shoal_builder::compile_child() {
///     return code;
/// }
/// # std::process::ExitCode::SUCCESS
/// # }
/// ```
pub fn compile_child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == CHILD_ARGUMENT).then(|| {
        let arguments: Vec<OsString> = arguments.collect();
        match run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                let _ = write!(io::stderr(), "{}", failure.message);
                ExitCode::from(failure.code)
            }
        }
    })
}

struct Failure {
    code: u8,
    message: String,
}

enum Work {
    Componentise,
    Compile(EngineKey),
}

fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let no_sandbox = |message: String| Failure {
        code: code::NO_SANDBOX,
        message,
    };
    let (work, limits) = parse(arguments).ok_or_else(|| {
        no_sandbox("`compile-child` is started by Shoal itself, with arguments of its own".into())
    })?;
    descriptors::close_inherited();
    descriptors::end_with_parent();
    sandbox::enter(&limits).map_err(|error| no_sandbox(error.to_string()))?;
    let mut wasm = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut wasm)
        .map_err(|error| Failure {
            code: if error.kind() == io::ErrorKind::OutOfMemory {
                code::MEMORY
            } else {
                code::INVALID
            },
            message: error.to_string(),
        })?;
    let result = match work {
        Work::Componentise => componentise(&wasm),
        Work::Compile(engine_key) => {
            compile(&wasm, &engine_key).map_err(|error| format!("{error:#}"))
        }
    };
    let output = result.map_err(|message| Failure {
        code: if is_out_of_memory(&message) {
            code::MEMORY
        } else {
            code::INVALID
        },
        message,
    })?;
    io::stdout()
        .lock()
        .write_all(&output)
        .map_err(|error| Failure {
            code: code::UNREAD,
            message: format!("the parent is gone: {error}"),
        })
}

fn parse(arguments: &[OsString]) -> Option<(Work, sandbox::Limits)> {
    let text = |at: usize| arguments.get(at)?.to_str();
    let work = match text(0)? {
        "componentise" => Work::Componentise,
        key => Work::Compile(key.parse().ok()?),
    };
    let cpu_seconds = text(1)?.parse().ok()?;
    Some((
        work,
        sandbox::Limits {
            cpu_seconds,
            memory_bytes: text(2)?.parse().ok()?,
        },
    ))
}

fn compile(wasm: &[u8], engine_key: &EngineKey) -> Result<Vec<u8>, wasmtime::Error> {
    let engine = wasmtime::Engine::new(&shoal_engine::config(engine_key)?)?;
    engine.precompile_component(wasm)
}

/// Makes a component of a core module: of a WASI 0.1 command if it has `_start`, else of a reactor.
fn componentise(module: &[u8]) -> Result<Vec<u8>, String> {
    let adapter = if has_start(module) {
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("it cannot be made a component: {error:#}"))
}

fn has_start(module: &[u8]) -> bool {
    wasmparser::Parser::new(0)
        .parse_all(module)
        .any(|payload| match payload {
            Ok(wasmparser::Payload::ExportSection(exports)) => exports
                .into_iter()
                .any(|export| export.is_ok_and(|export| export.name == "_start")),
            _ => false,
        })
}

/// `ENOMEM` deep inside of an error that has lost its kind.
fn is_out_of_memory(message: &str) -> bool {
    message.contains("os error 12") || message.contains("Cannot allocate memory")
}
