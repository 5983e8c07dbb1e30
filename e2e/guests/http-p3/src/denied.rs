use wasip3::filesystem::preopens::get_directories;
use wasip3::http::client;
use wasip3::http::types::{Fields, Request, Scheme};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::wit_future;

const LOOPBACK: IpSocketAddress = IpSocketAddress::Ipv4(Ipv4SocketAddress {
    port: 80,
    address: (127, 0, 0, 1),
});

pub async fn attempts() -> String {
    let tcp = async {
        let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
        socket.connect(LOOPBACK).await
    };
    let listen = async {
        let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
        socket.bind(LOOPBACK)
    };
    let udp = async {
        let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
        socket.send(vec![1], Some(LOOPBACK)).await
    };
    [
        format!("http {}", outcome(send().await)),
        format!(
            "dns {}",
            outcome(resolve_addresses("localhost".to_owned()).await)
        ),
        format!("tcp {}", outcome(tcp.await)),
        format!("listen {}", outcome(listen.await)),
        format!("udp {}", outcome(udp.await)),
        format!("directories {}", get_directories().len()),
    ]
    .join("\n")
}

async fn send() -> Result<(), wasip3::http::types::ErrorCode> {
    let (_, ended) = wit_future::new(|| Ok(None));
    let (request, _) = Request::new(Fields::new(), None, ended, None);
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some("127.0.0.1"));
    let _ = request.set_path_with_query(Some("/"));
    client::send(request).await.map(drop)
}

fn outcome<T, E: std::fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "allowed".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}
