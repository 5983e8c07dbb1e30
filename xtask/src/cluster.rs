//! `cargo xtask cluster ...`: the local cluster by itself.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use shoal_cluster::Cluster;

use crate::{down, local};

/// Start, stop and use the local three-node cluster.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Start the cluster, without Shoal; one that runs is left alone.
    Up,
    /// Stop it and remove all that it left on this machine.
    Down,
    /// Print what a shell needs to use it: eval "$(cargo xtask cluster env)".
    Env,
    /// Run curl on a node, with the cluster's DNS.
    Curl(Curl),
    /// Run kubectl as the cluster's administrator.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// Arguments of kubectl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Arguments of `cluster curl`.
#[derive(clap::Args)]
pub struct Curl {
    /// Number of the node, 1 to 3.
    #[arg(long, default_value_t = 1)]
    node: u8,
    /// Arguments of curl.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// `cargo xtask cluster ...`.
///
/// # Errors
/// There is no cluster, or it does not start.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Up => {
            local::up()?;
            eprintln!("\nNext: eval \"$(cargo xtask cluster env)\"");
        }
        Command::Down => return down::run(&down::Arguments::default()),
        Command::Env => {
            for (name, value) in Cluster::attach()?.env() {
                println!("export {name}={}", quoted(&value));
            }
        }
        Command::Curl(curl) => {
            let mut command = Cluster::attach()?.curl_command(Some(curl.node))?;
            // Only returns when it fails: curl takes this process's place, and its exit code counts.
            return Err(command.args(&curl.arguments).exec()).context("cannot start curl");
        }
        Command::Kubectl { arguments } => {
            let mut command = Cluster::attach()?.kubectl();
            return Err(command.args(arguments).exec()).context("cannot start kubectl");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As a shell takes it for one word. The usual values need no quotes, and other programs read these
/// lines too.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_split_is_quoted() {
        assert_eq!(quoted("10.0.0.1:5000"), "10.0.0.1:5000");
        assert_eq!(quoted("/tmp/a b"), "'/tmp/a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
