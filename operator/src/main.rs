//! `shoal-operator`.

use clap::Parser;
use shoal_operator::args::Args;
use shoal_operator::run::run;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // The only error is that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    shoal_protocol::log::start(args.log.log);
    run(args).await
}
