use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::{OutputStream, StreamError};

/// Names and values of response headers.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// The most that one `blocking-write-and-flush` takes.
const WRITE: usize = 4096;

/// A response body that is being written.
pub struct Body {
    // Dropped before the body: a resource that still has a child cannot be dropped.
    stream: OutputStream,
    body: OutgoingBody,
}

impl Body {
    /// Writes and waits until the host took all of it.
    pub fn write(&self, bytes: &[u8]) -> Result<(), StreamError> {
        bytes
            .chunks(WRITE)
            .try_for_each(|chunk| self.stream.blocking_write_and_flush(chunk))
    }

    /// Ends the body; fails if its length is not what `content-length` said.
    pub fn finish(self) -> Result<(), ErrorCode> {
        drop(self.stream);
        OutgoingBody::finish(self.body, None)
    }
}

/// Sends status and headers, and returns the body to write. Headers that the host refuses are
/// left out.
pub fn start(out: ResponseOutparam, status: u16, headers: Headers) -> Body {
    let fields = Fields::new();
    for (name, value) in headers {
        let _ = fields.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(fields);
    response
        .set_status_code(status)
        .expect("a status between 100 and 599");
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    Body { stream, body }
}

/// A whole response. A client that went away is no failure of the guest.
pub fn answer(out: ResponseOutparam, status: u16, headers: Headers, bytes: &[u8]) {
    let body = start(out, status, headers);
    let _ = body.write(bytes);
    let _ = body.finish();
}

pub fn text(out: ResponseOutparam, status: u16, text: &str) {
    answer(
        out,
        status,
        &[("content-type", "text/plain; charset=utf-8")],
        text.as_bytes(),
    );
}

pub fn json(out: ResponseOutparam, status: u16, json: &str) {
    answer(
        out,
        status,
        &[("content-type", "application/json")],
        json.as_bytes(),
    );
}
