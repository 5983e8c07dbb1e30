//! `shoal`: run an app on your machine, push it to a registry, see where it runs in a cluster and what its
//! stores hold.
//!
//! Installed as `kubectl-shoal` it is a kubectl plugin: `kubectl shoal apps`.

mod apps;
mod cluster;
mod docker_config;
mod push;
mod stores;
mod table;
mod up;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Run WebAssembly apps here, push them to a registry, and see where they run in a cluster.
#[derive(Parser)]
#[command(name = "shoal", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Arguments),
    Push(push::Arguments),
    Apps(apps::Arguments),
    Stores(stores::Arguments),
}

fn main() -> ExitCode {
    // Before anything else: the builder runs this program again to compile in a process of its own.
    if let Some(code) = shoal_builder::compile_child() {
        return code;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match parse() {
        Command::Up(arguments) => up::run(arguments),
        Command::Push(arguments) => push::run(&arguments),
        Command::Apps(arguments) => apps::run(&arguments),
        Command::Stores(arguments) => stores::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command line; usage texts show the name that the program was called by.
fn parse() -> Command {
    let called = std::env::args_os().next();
    let mut command = Arguments::command();
    if is_plugin(called.as_deref().map(Path::new)) {
        command = command.bin_name("kubectl shoal");
    }
    match Arguments::from_arg_matches(&command.get_matches()) {
        Ok(arguments) => arguments.command,
        Err(error) => error.exit(),
    }
}

fn is_plugin(called: Option<&Path>) -> bool {
    called
        .and_then(Path::file_stem)
        .is_some_and(|name| name == "kubectl-shoal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_plugin_is_told_by_its_name() {
        assert!(is_plugin(Some(Path::new("/usr/local/bin/kubectl-shoal"))));
        assert!(!is_plugin(Some(Path::new("target/debug/shoal"))));
        assert!(!is_plugin(None));
    }
}
