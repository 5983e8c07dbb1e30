//! Responses of the runtime's own: what a client gets where no guest answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{ResponseBody, request_id, request_id::RequestId};

/// Why no guest answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The app is being stopped, or was never ready.
    NotServing,
    /// No route matches.
    NoRoute,
    /// CONNECT is for proxies.
    Method,
    /// No `Host`, or one that is no text.
    Host,
    /// The request's body is larger than `limit` bytes.
    BodyTooLarge {
        /// `limits.requestBody`
        limit: u64,
    },
    /// `limit` requests are being answered already.
    Concurrency {
        /// `limits.concurrency`
        limit: u32,
    },
    /// The app's code cannot be had now.
    NoCode,
    /// The node runs as many instances as it can.
    NoSlot,
    /// No memory for another instance, of the app or of the node.
    Memory,
    /// No response in time.
    Timeout,
    /// The guest ended without a response, or with one that is none.
    NoResponse,
    /// The guest gave an error instead of a response.
    GuestError(String),
    /// The guest died.
    Trapped,
    /// The runtime failed.
    Internal,
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotServing
            | Self::NoCode
            | Self::Concurrency { .. }
            | Self::NoSlot
            | Self::Memory => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::NoResponse => StatusCode::BAD_GATEWAY,
            Self::GuestError(_) | Self::Trapped | Self::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Error type of RFC 9209, section 2.3.
    fn error(&self) -> &'static str {
        match self {
            Self::NotServing | Self::NoCode => "destination_unavailable",
            Self::NoRoute => "destination_not_found",
            Self::Method | Self::Host | Self::BodyTooLarge { .. } => "http_request_error",
            Self::Concurrency { .. } | Self::NoSlot | Self::Memory => "connection_limit_reached",
            Self::Timeout => "http_response_timeout",
            Self::NoResponse => "http_response_incomplete",
            Self::GuestError(_) | Self::Trapped | Self::Internal => "proxy_internal_error",
        }
    }

    /// What happened, for the client.
    fn message(&self) -> String {
        match self {
            Self::NotServing => "The app is not being served here now.".into(),
            Self::NoRoute => "No route of the app matches this path.".into(),
            Self::Method => "This method is not served.".into(),
            Self::Host => "The request names no host.".into(),
            Self::BodyTooLarge { limit } => {
                format!("The body of the request is larger than {limit} bytes.")
            }
            Self::Concurrency { limit } => {
                format!("The app is answering {limit} requests already.")
            }
            Self::NoCode => "The code of the app cannot be loaded here now.".into(),
            Self::NoSlot => "The node runs as many instances as it can.".into(),
            Self::Memory => "There is no memory for another instance of the app.".into(),
            Self::Timeout => "The app did not answer in time.".into(),
            Self::NoResponse => "The app gave no whole response.".into(),
            Self::GuestError(name) => format!("The app answered with the error `{name}`."),
            Self::Trapped => "The app failed.".into(),
            Self::Internal => "The runtime failed.".into(),
        }
    }

    pub(crate) fn response(&self, id: &RequestId) -> Response<ResponseBody> {
        let message = format!("{}\n", self.message());
        let mut response = Response::new(ResponseBody::whole(Bytes::from(message)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        put(
            headers,
            "proxy-status",
            &format!("shoal; error={}", self.error()),
        );
        put(headers, request_id::HEADER, id.as_str());
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if *self == Self::Method {
            let all = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            headers.insert(header::ALLOW, all);
        }
        response
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
