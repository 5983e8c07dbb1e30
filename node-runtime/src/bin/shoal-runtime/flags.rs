//! Command line of `shoal-runtime`.

use std::{
    net::{AddrParseError, IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::Parser;
use shoal_protocol::flags::{IdentityFlags, LogFlags};

/// Hosts the apps of a node: fetches their code, listens on a port for each, runs their requests.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Flags {
    /// Serve the apps of this file instead of an operator's assignments: a YAML list of
    /// `{namespace, name, port, spec}`, where an image may also be `file:PATH`; followed as it changes
    #[arg(long, value_name = "FILE")]
    pub assignments: Option<PathBuf>,
    /// Folder of code and of the last assignments; must allow execution. With --assignments also of
    /// the builder and of the stores
    #[arg(long, value_name = "DIR", default_value = "/var/lib/shoal")]
    pub state: PathBuf,
    /// Address that apps listen on, with --assignments [default: all]
    #[arg(long, value_name = "IP", requires = "assignments")]
    pub listen_address: Option<IpAddr>,
    /// Where /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS", default_value = ":9090")]
    pub metrics_address: Address,
    /// Host and port of the builder, which gives the code
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "shoal-builder.shoal-system.svc:9443"
    )]
    pub builder: String,
    /// Host and port of the embedded stores
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "shoal-store.shoal-system.svc:9443"
    )]
    pub store: String,
    /// Addresses of this pod, at most one of each family
    #[arg(long, env = "POD_IPS", value_name = "IPS", value_delimiter = ',')]
    pub pod_ips: Vec<IpAddr>,
    /// Most instances at once, of all apps together
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub instances: u32,
    /// Longest time, in seconds, to go on serving after SIGTERM until no endpoint names this pod
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    pub drain_timeout: u64,
    /// Longest time, in seconds, that requests may take to end after that
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_timeout: u64,
    #[command(flatten)]
    pub identity: IdentityFlags,
    #[command(flatten)]
    pub log: LogFlags,
}

/// An address; `:9090` is that port on every address of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = AddrParseError;

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
    }
}
