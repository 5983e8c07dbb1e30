use std::net::{IpAddr, Ipv4Addr};

use guest_http::wasip2::sockets::instance_network::instance_network;
use guest_http::wasip2::sockets::ip_name_lookup::resolve_addresses;
use guest_http::wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use guest_http::wasip2::sockets::tcp_create_socket::create_tcp_socket;
use guest_http::wasip2::sockets::udp_create_socket::create_udp_socket;

pub fn tcp_connect(host: &str, port: u16) -> String {
    let attempt = || {
        let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
        socket.start_connect(&instance_network(), address(host, port))?;
        socket.subscribe().block();
        socket.finish_connect().map(|_| ())
    };
    crate::outcome(attempt())
}

pub fn tcp_listen() -> String {
    let attempt = || {
        let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
        socket.start_bind(&instance_network(), address("0.0.0.0", 0))?;
        socket.subscribe().block();
        socket.finish_bind()?;
        socket.start_listen()?;
        socket.subscribe().block();
        socket.finish_listen()
    };
    crate::outcome(attempt())
}

pub fn udp_bind() -> String {
    crate::outcome(bound_udp().map(|_| ()))
}

pub fn udp_send(host: &str, port: u16) -> String {
    let attempt = || {
        let socket = bound_udp()?;
        socket.stream(Some(address(host, port))).map(|_| ())
    };
    crate::outcome(attempt())
}

pub fn resolve(host: &str) -> String {
    let attempt = || {
        let addresses = resolve_addresses(&instance_network(), host)?;
        addresses.subscribe().block();
        addresses.resolve_next_address()
    };
    crate::outcome(attempt())
}

type UdpSocket = guest_http::wasip2::sockets::udp::UdpSocket;

fn bound_udp() -> Result<UdpSocket, ErrorCode> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), address("0.0.0.0", 0))?;
    socket.subscribe().block();
    socket.finish_bind()?;
    Ok(socket)
}

/// A name that is no IPv4 address counts as the loopback: only `resolve` looks names up.
fn address(host: &str, port: u16) -> IpSocketAddress {
    let ip = match host.parse() {
        Ok(IpAddr::V4(ip)) => ip,
        _ => Ipv4Addr::LOCALHOST,
    };
    let [a, b, c, d] = ip.octets();
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (a, b, c, d),
    })
}
