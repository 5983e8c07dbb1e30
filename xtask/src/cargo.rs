//! Cargo, started from a program that cargo started.

use std::process::Command;

use crate::workspace;

/// What `cargo run` tells the program that it starts about itself. A build script that asks for one of
/// these (ring's does) would run again, and all that depends on it be compiled again, whenever a build
/// from here follows one from a shell.
const OWN: [&str; 4] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "OUT_DIR",
];
const OWN_PREFIX: &str = "CARGO_PKG_";

/// The cargo that built this program, in the checkout's root, as from a shell.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace::root());
    for (name, _) in std::env::vars_os() {
        let own = name
            .to_str()
            .is_some_and(|name| OWN.contains(&name) || name.starts_with(OWN_PREFIX));
        if own {
            cargo.env_remove(name);
        }
    }
    cargo
}
