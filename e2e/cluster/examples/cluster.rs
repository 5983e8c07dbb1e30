//! Starts, shows, calls and stops the local cluster: `cargo run --example cluster -- up`.

use anyhow::{Result, bail};
use shoal_cluster::progress::Terminal;
use shoal_cluster::{Cluster, Options};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let progress = Terminal::default();
    match args.as_slice() {
        ["up"] => Cluster::up(&Options::from_environment()?, &progress).map(drop),
        ["down"] => Cluster::down(&progress),
        ["env"] => {
            for (name, value) in Cluster::attach()?.env() {
                println!("export {name}={value}");
            }
            Ok(())
        }
        ["curl", "--node", node, rest @ ..] => curl(Some(node.parse()?), rest),
        ["curl", rest @ ..] => curl(None, rest),
        ["load", archive] => Cluster::attach()?.load_image(archive.as_ref()),
        ["image", archive, name, program] => {
            let image = shoal_cluster::OciImage::new(*name).program("/program", *program)?;
            println!(
                "{}",
                image
                    .entrypoint(&["/program"])
                    .user("65532")
                    .write(archive.as_ref())?
            );
            Ok(())
        }
        ["stop", daemon] => Cluster::attach()?.daemon(daemon).stop(),
        ["start", daemon] => Cluster::attach()?.daemon(daemon).start(),
        ["link", node, state] => {
            let node = Cluster::attach()?.node(node.parse()?)?;
            if *state == "up" {
                node.link_up()
            } else {
                node.link_down()
            }
        }
        ["recycle"] => {
            println!("{}", Cluster::attach()?.recycle_volumes()?.join(" "));
            Ok(())
        }
        ["writes", since] => {
            let log = Cluster::attach()?.audit_log();
            println!("{:?}", log.mark()?);
            let skip: usize = since.parse()?;
            let start = shoal_cluster::Mark::default();
            for write in log.writes_since(start)?.into_iter().skip(skip) {
                println!("{write:?}");
            }
            Ok(())
        }
        _ => bail!("up, down, env, curl [--node N] ARGS, load, image, stop, start, link, recycle"),
    }
}

fn curl(node: Option<u8>, args: &[&str]) -> Result<()> {
    let status = Cluster::attach()?.curl_command(node)?.args(args).status()?;
    std::process::exit(status.code().unwrap_or(1));
}
