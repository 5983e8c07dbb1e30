//! The bridge, a network namespace a node, and the routes between them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};

use crate::address::{BRIDGE, BRIDGE_V4, BRIDGE_V6, NodeNumber};
use crate::command;

/// Where `ip` keeps namespaces by name.
pub const NAMESPACES: &str = "/run/netns";

/// Makes the bridge and every node's namespace, cable, addresses and routes.
///
/// # Errors
/// `ip` fails; the error has what it said.
pub fn create() -> Result<()> {
    // Packets between two pods of one node cross a bridge; without this module they would pass
    // by the Service rules. Where it is built in or cannot be loaded, there is nothing to do.
    let _ = command::run("modprobe", &["br_netfilter"]);
    ip(&[
        "link",
        "add",
        BRIDGE,
        "type",
        "bridge",
        "forward_delay",
        "0",
    ])?;
    ip(&["addr", "add", &format!("{BRIDGE_V4}/24"), "dev", BRIDGE])?;
    ip(&[
        "-6",
        "addr",
        "add",
        &format!("{BRIDGE_V6}/64"),
        "dev",
        BRIDGE,
        "nodad",
    ])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    NodeNumber::all().try_for_each(create_node)?;
    // The API server calls pods (webhooks, aggregated APIs) from the machine itself.
    NodeNumber::all().try_for_each(|node| route_to_pods(None, node))
}

fn create_node(node: NodeNumber) -> Result<()> {
    let (namespace, link) = (node.namespace(), node.link());
    ip(&["netns", "add", &namespace])?;
    ip(&[
        "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
    ])?;
    ip(&["link", "set", &link, "master", BRIDGE, "up"])?;
    let inside = |args: &[&str]| ip(&[&["-n", namespace.as_str()], args].concat());
    inside(&["link", "set", "lo", "up"])?;
    inside(&["addr", "add", &format!("{}/24", node.v4()), "dev", "eth0"])?;
    inside(&[
        "-6",
        "addr",
        "add",
        &format!("{}/64", node.v6()),
        "dev",
        "eth0",
        "nodad",
    ])?;
    inside(&["link", "set", "eth0", "up"])?;
    inside(&["route", "add", "default", "via", &BRIDGE_V4.to_string()])?;
    inside(&[
        "-6",
        "route",
        "add",
        "default",
        "via",
        &BRIDGE_V6.to_string(),
    ])?;
    for sysctl in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        set_sysctl(node, sysctl)?;
    }
    let others = NodeNumber::all().filter(|other| *other != node);
    others
        .into_iter()
        .try_for_each(|other| route_to_pods(Some(node), other))
}

/// Routes to the pods of `to`, on the node `from` or on the machine.
fn route_to_pods(from: Option<NodeNumber>, to: NodeNumber) -> Result<()> {
    let namespace = from.map(NodeNumber::namespace);
    let at: Vec<&str> = namespace
        .iter()
        .flat_map(|it| ["-n", it.as_str()])
        .collect();
    let (v4, v6): (Ipv4Addr, Ipv6Addr) = (to.v4(), to.v6());
    ip(&[
        &at[..],
        &["route", "add", &to.pods_v4(), "via", &v4.to_string()],
    ]
    .concat())?;
    ip(&[
        &at[..],
        &["-6", "route", "add", &to.pods_v6(), "via", &v6.to_string()],
    ]
    .concat())
}

fn set_sysctl(node: NodeNumber, name: &str) -> Result<()> {
    let namespace = format!("--net={}", namespace(node).display());
    command::run(
        "nsenter",
        &[
            &namespace,
            "sh",
            "-c",
            &format!("echo 1 > /proc/sys/{name}"),
        ],
    )
    .map(drop)
}

/// Cuts a node's cable, or plugs it in again.
///
/// # Errors
/// `ip` fails, such as when there is no such link.
pub fn set_link(node: NodeNumber, up: bool) -> Result<()> {
    ip(&["link", "set", &node.link(), if up { "up" } else { "down" }])
}

/// Whether a node's cable is plugged in; `None` if there is no cable.
pub fn is_link_up(node: NodeNumber) -> Option<bool> {
    const IFF_UP: u32 = 1;
    let flags = std::fs::read_to_string(format!("/sys/class/net/{}/flags", node.link())).ok()?;
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
    Some(flags & IFF_UP != 0)
}

/// The processes in a node's namespace; none if there is no such namespace.
pub fn processes(node: NodeNumber) -> Vec<u32> {
    let listed = command::run("ip", &["netns", "pids", &node.namespace()]).unwrap_or_default();
    listed
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// How many of the bridge, the cables and the namespaces are there.
pub fn remains() -> usize {
    let link = |name: &str| Path::new("/sys/class/net").join(name).exists();
    let nodes = NodeNumber::all()
        .map(|node| usize::from(link(&node.link())) + usize::from(namespace(node).exists()));
    nodes.sum::<usize>() + usize::from(link(BRIDGE))
}

fn namespace(node: NodeNumber) -> PathBuf {
    Path::new(NAMESPACES).join(node.namespace())
}

/// Removes namespaces, cables and bridge, as far as they are there.
///
/// # Errors
/// Something that is there cannot be removed.
pub fn remove() -> Result<()> {
    for node in NodeNumber::all() {
        if Path::new("/sys/class/net").join(node.link()).exists() {
            ip(&["link", "delete", &node.link()])?;
        }
        if namespace(node).exists() {
            ip(&["netns", "delete", &node.namespace()])?;
        }
    }
    if Path::new("/sys/class/net").join(BRIDGE).exists() {
        ip(&["link", "delete", BRIDGE]).context("the cluster's bridge stays")?;
    }
    // `ip` mounts the folder of the namespaces over itself with the first of them. With the
    // last gone it can go; where it is in use after all, it stays.
    if std::fs::read_dir(NAMESPACES).is_ok_and(|mut entries| entries.next().is_none()) {
        let _ = umount2(NAMESPACES, MntFlags::empty());
    }
    Ok(())
}

fn ip(args: &[&str]) -> Result<()> {
    command::run("ip", args).map(drop)
}
