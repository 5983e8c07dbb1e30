//! Requests and responses as the guestbook sees them, on top of `wasi:http`.

use serde::Serialize;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

/// The most that one `blocking-write-and-flush` takes.
const WRITE: usize = 4096;

pub struct Request {
    raw: IncomingRequest,
    method: String,
    path: String,
}

impl Request {
    pub fn new(raw: IncomingRequest) -> Self {
        let method = match raw.method() {
            Method::Get => "GET".to_owned(),
            Method::Head => "HEAD".to_owned(),
            Method::Post => "POST".to_owned(),
            _ => "another".to_owned(),
        };
        let target = raw.path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        Self { raw, method, path }
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn is_form(&self) -> bool {
        let values = self.raw.headers().get("content-type");
        values.first().is_some_and(|value| {
            let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
        })
    }

    /// The body, if it arrived whole and is no longer than `limit` bytes.
    pub fn body(&self, limit: usize) -> Option<Vec<u8>> {
        let body = self.raw.consume().ok()?;
        let stream = body.stream().ok()?;
        let mut whole = Vec::new();
        let arrived = loop {
            match stream.blocking_read(WRITE as u64) {
                Ok(chunk) => whole.extend_from_slice(&chunk),
                Err(StreamError::Closed) => break true,
                Err(StreamError::LastOperationFailed(_)) => break false,
            }
            if whole.len() > limit {
                break false;
            }
        };
        drop(stream);
        IncomingBody::finish(body);
        arrived.then_some(whole)
    }
}

pub struct Response {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

impl Response {
    fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type),
            ("x-content-type-options", "nosniff"),
        ];
        Self {
            status,
            headers,
            body,
        }
    }

    /// A page that may run no script and load nothing from elsewhere.
    pub fn html(status: u16, page: String) -> Self {
        let mut response = Self::new(status, "text/html; charset=utf-8", page.into_bytes());
        response.headers.push((
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
        ));
        response
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Self::new(200, "application/json", json),
            Err(error) => Self::text(500, &error.to_string()),
        }
    }

    pub fn see_other(location: &'static str) -> Self {
        let mut response = Self::text(303, "Thank you.\n");
        response.headers.push(("location", location));
        response
    }

    pub fn not_allowed(allow: &'static str) -> Self {
        let mut response = Self::text(405, "This page does not do that.\n");
        response.headers.push(("allow", allow));
        response
    }

    pub fn send(self, out: ResponseOutparam, method: &str) {
        let fields = Fields::new();
        for (name, value) in &self.headers {
            let _ = fields.append(name, value.as_bytes());
        }
        let response = OutgoingResponse::new(fields);
        let _ = response.set_status_code(self.status);
        let body = response.body();
        ResponseOutparam::set(out, Ok(response));
        let Ok(body) = body else { return };
        if method != "HEAD" {
            write(&body, &self.body);
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Writes until the client goes away.
fn write(body: &OutgoingBody, bytes: &[u8]) {
    let Ok(stream) = body.write() else { return };
    for chunk in bytes.chunks(WRITE) {
        if stream.blocking_write_and_flush(chunk).is_err() {
            return;
        }
    }
}
