//! Headers that tell a guest how it was reached, as Spin names them.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use shoal_artifact::{Route, RouteMatch};

use crate::app::Target;

/// Names that begin so are the runtime's to set; a client's own are taken away.
const PREFIX: &str = "spin-";

const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");

/// Who is at the other end of a connection.
pub(crate) struct Client {
    address: HeaderValue,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        // A dual-stack socket shows IPv4 clients as IPv6 ones.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            address: value(address.to_string().as_bytes()),
        }
    }
}

/// What is the same for every request on a route.
pub(crate) struct RouteHeaders {
    raw: HeaderValue,
    base: HeaderValue,
}

impl RouteHeaders {
    pub(crate) fn new(route: &Route) -> Self {
        Self {
            raw: value(route.as_str().as_bytes()),
            base: value(route.base().as_bytes()),
        }
    }
}

/// Any bytes as a header value; empty where they cannot be one.
fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap_or(const { HeaderValue::from_static("") })
}

/// The authority that a request names, if it names one as text.
pub(super) fn authority<B>(request: &Request<B>) -> Option<String> {
    match request.uri().authority() {
        Some(authority) => Some(authority.to_string()),
        None => {
            let host = request.headers().get(header::HOST)?.to_str().ok()?;
            (!host.is_empty()).then(|| host.to_owned())
        }
    }
}

/// Takes away what a client may not say, and adds how the guest was reached.
pub(super) fn describe(
    headers: &mut HeaderMap,
    uri: &Uri,
    authority: &str,
    client: &Client,
    found: &RouteMatch<'_, '_, Target>,
) {
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX))
        .cloned()
        .collect();
    for name in foreign {
        headers.remove(name);
    }
    let route = &found.value.headers;
    headers.reserve(7 + found.parameters.len());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    headers.insert(
        FULL_URL,
        value(format!("http://{authority}{path}").as_bytes()),
    );
    headers.insert(PATH_INFO, value(found.rest.as_bytes()));
    headers.insert(MATCHED_ROUTE, route.raw.clone());
    headers.insert(RAW_COMPONENT_ROUTE, route.raw.clone());
    headers.insert(COMPONENT_ROUTE, route.base.clone());
    headers.insert(BASE_PATH, const { HeaderValue::from_static("/") });
    headers.insert(CLIENT_ADDRESS, client.address.clone());
    for (name, part) in &found.parameters {
        if let Ok(name) = HeaderName::try_from(format!("spin-path-match-{name}")) {
            headers.insert(name, value(part.as_bytes()));
        }
    }
}
