//! `cargo xtask`: every developer command of Shoal.

mod answer;
mod bench;
mod binaries;
mod cargo;
mod cluster;
mod crds;
mod down;
mod ephemeral;
mod example;
mod guests;
mod image;
mod install;
mod kubectl;
mod local;
mod process;
mod step;
mod test;
mod up;
mod workspace;

use clap::{Parser, Subcommand};

/// Developer commands of Shoal.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Arguments),
    Down(down::Arguments),
    Test(test::Arguments),
    Crds(crds::Arguments),
    Guests(guests::Arguments),
    Image(image::Arguments),
    Bench(bench::Arguments),
    #[command(subcommand)]
    Cluster(cluster::Command),
}

fn main() -> std::process::ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Down(arguments) => down::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Crds(arguments) => crds::run(&arguments),
        Command::Guests(arguments) => guests::run(&arguments),
        Command::Image(arguments) => image::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Cluster(command) => cluster::run(&command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
