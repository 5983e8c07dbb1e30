//! Command-line flags that every part has.

use std::path::PathBuf;

/// How a part finds the operator and gets its certificate.
#[derive(clap::Args, Clone, Debug)]
pub struct IdentityFlags {
    /// Host and port of the operator's replicas; resolved again every few seconds
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "shoal-operator.shoal-system.svc:9443"
    )]
    pub operator: String,
    /// Service-account token (audience `shoal`) that is shown to the operator
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/run/shoal/token/token"
    )]
    pub token_file: PathBuf,
    /// Certificate authorities to trust (PEM); followed as it changes
    #[arg(long, value_name = "FILE", default_value = "/var/run/shoal/ca/ca.crt")]
    pub ca_file: PathBuf,
    /// Folder in memory that keeps key and certificate over a restart of the container
    #[arg(long, value_name = "FOLDER", default_value = "/run/shoal")]
    pub identity_dir: PathBuf,
}

/// How a part writes its log.
#[derive(clap::Args, Clone, Debug)]
pub struct LogFlags {
    /// Format of the log on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

/// Formats of the log.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}
