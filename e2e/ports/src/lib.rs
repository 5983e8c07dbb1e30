//! Ports for servers that a test starts, which bind them only later.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv4Addr, TcpListener},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
};

/// Below what Linux gives to outgoing connections by default, of which one would take a port for as long as it
/// lasts, and a minute more.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of the loopback that nobody has, and that no other test is given for as long as this process lives:
/// also while the server on it is not there.
///
/// # Panics
/// There is none.
pub fn free_port() -> u16 {
    free_port_of(Ipv4Addr::LOCALHOST.into())
}

/// The same of another address of this machine.
///
/// # Panics
/// There is none.
pub fn free_port_of(address: IpAddr) -> u16 {
    let random = RandomState::new().hash_one(0);
    let start = u16::try_from(random % u64::from(COUNT)).unwrap();
    let found = (0..COUNT).find_map(|n| {
        let port = FIRST + (start + n) % COUNT;
        // Tests of other processes see it too, and it goes with this process.
        let name = SocketAddr::from_abstract_name(format!("shoal-test-port-{port}")).unwrap();
        let held = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((address, port)).ok()?;
        Box::leak(Box::new(held));
        Some(port)
    });
    found.expect("all ports are taken")
}
