//! Tries to get out by every way there is, and tells as JSON how each attempt ended: the WIT name
//! of the error, or `allowed`.
//!
//! `?host=NAME` and `?port=NUMBER` (default `127.0.0.1` and `80`) say where to.

mod files;
mod network;
mod outgoing_http;

use guest_http::{Request, ResponseOutparam, json, object, quote};

guest_http::serve!(handle);

fn handle(request: Request, out: ResponseOutparam) {
    let host = request
        .query("host")
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = request
        .query("port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(80);
    let attempts = [
        ("outgoing-http", outgoing_http::get(&host, port)),
        ("tcp-connect", network::tcp_connect(&host, port)),
        ("tcp-listen", network::tcp_listen()),
        ("udp-bind", network::udp_bind()),
        ("udp-send", network::udp_send(&host, port)),
        ("dns", network::resolve(&host)),
        ("preopens", files::preopens()),
        ("read-root", files::read_root()),
        ("write-file", files::write_file()),
    ];
    json(
        out,
        200,
        &object(attempts.iter().map(|(name, result)| (*name, quote(result)))),
    );
}

/// How an attempt ended.
fn outcome<T, E: std::fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "allowed".to_owned(),
        Err(error) => guest_http::variant_name(&error),
    }
}
