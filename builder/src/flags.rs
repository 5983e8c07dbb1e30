//! Command line of `shoal-builder`.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use shoal_builder::{CompileLimits, Options, cache::Protection};
use shoal_protocol::flags::{IdentityFlags, LogFlags};

/// Pulls, inspects, compiles, signs, keeps and serves the code of apps.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Flags {
    /// Where operator and runtimes are served (gRPC over mutual TLS)
    #[arg(long, value_name = "ADDRESS", default_value = ":9443")]
    pub listen_address: Address,
    /// Where /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS", default_value = ":9090")]
    pub metrics_address: Address,
    /// Folder of the signing key and the cache
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/shoal")]
    pub data_dir: PathBuf,
    /// Most bytes that the cache keeps; what is being pulled takes up to a quarter more
    #[arg(long, value_name = "BYTES", default_value_t = 1536 << 20)]
    pub cache_bytes: u64,
    /// Most seconds that compiling a component may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub compile_timeout: u64,
    /// Most bytes of memory that compiling a component may take
    #[arg(long, value_name = "BYTES", default_value_t = 1536 << 20)]
    pub compile_memory: u64,
    /// Most seconds of processor time that compiling a component may take
    #[arg(long, value_name = "SECONDS", default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..))]
    pub compile_cpu_seconds: u64,
    /// Serve on this Unix socket instead, without a cluster: plain gRPC for whoever can open it, and
    /// images may be `file:PATH`. Ends with the process that started it
    #[arg(long, value_name = "PATH")]
    pub local_socket: Option<PathBuf>,
    #[command(flatten)]
    pub identity: IdentityFlags,
    #[command(flatten)]
    pub log: LogFlags,
}

impl Flags {
    /// Options of the builder.
    pub fn options(&self, local_files: bool, protection: Protection) -> Options {
        Options {
            cache_bytes: self.cache_bytes,
            limits: CompileLimits {
                timeout: Duration::from_secs(self.compile_timeout),
                cpu_seconds: self.compile_cpu_seconds,
                memory_bytes: self.compile_memory,
                ..CompileLimits::default()
            },
            local_files,
            protection,
            ..Options::new(&self.data_dir)
        }
    }
}

/// An address; `:9090` is that port on every address of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(':') {
            Some(port) => format!("[::]:{port}").parse().map(Self),
            None => text.parse().map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_port_alone_is_every_address() {
        assert_eq!(
            ":9090".parse::<Address>().unwrap().0,
            "[::]:9090".parse().unwrap()
        );
        assert_eq!(
            "127.0.0.1:1".parse::<Address>().unwrap().0,
            "127.0.0.1:1".parse().unwrap()
        );
        assert!("nonsense".parse::<Address>().is_err());
    }
}
