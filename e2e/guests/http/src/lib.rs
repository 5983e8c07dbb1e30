//! The little of HTTP that the test guests share: a request that is easy to take apart, and
//! answers that are plain text, JSON or a stream.

pub use wasip2;

mod json;
mod request;
mod response;

pub use json::{array, object, quote};
pub use request::Request;
pub use response::{Body, Headers, answer, json, start, text};
pub use wasip2::http::types::ResponseOutparam;

/// Exports `wasi:http/incoming-handler` with a function that takes a [`Request`] and a
/// [`ResponseOutparam`].
#[macro_export]
macro_rules! serve {
    ($handler:path) => {
        struct Handler;

        impl $crate::wasip2::exports::http::incoming_handler::Guest for Handler {
            fn handle(
                request: $crate::wasip2::http::types::IncomingRequest,
                out: $crate::ResponseOutparam,
            ) {
                $handler($crate::Request::new(request), out);
            }
        }

        $crate::wasip2::http::proxy::export!(Handler);
    };
}

/// The name that WIT gives to a case, from the debug form that the bindings give to it:
/// `ErrorCode::HttpRequestDenied` of a variant, `ErrorCode { name: "access-denied", .. }` of an
/// enum.
pub fn variant_name(case: &impl std::fmt::Debug) -> String {
    let debug = format!("{case:?}");
    if let Some((_, name)) = debug.split_once("name: \"") {
        return name.split('"').next().unwrap_or_default().to_owned();
    }
    let path = debug.split(['(', ' ', '{']).next().unwrap_or_default();
    let camel = path.rsplit("::").next().unwrap_or_default();
    let mut kebab = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}
