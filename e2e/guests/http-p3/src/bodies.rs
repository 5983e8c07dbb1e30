use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};
use wasip3::{spawn, wit_future, wit_stream};

const TEN: &[u8] = b"ten bytes\n";

type Ended = Result<Option<Trailers>, ErrorCode>;

/// The two writers of a body. Unless told otherwise the body ends well when they are dropped.
struct Body {
    bytes: StreamWriter<u8>,
    end: FutureWriter<Ended>,
}

fn start(headers: &[(&str, &str)]) -> (Response, Body, FutureReader<Result<(), ErrorCode>>) {
    let fields = Fields::new();
    for (name, value) in headers {
        let _ = fields.append(name, value.as_bytes());
    }
    let (bytes, reader) = wit_stream::new();
    let (end, ended) = wit_future::new(|| Ok(None));
    let (response, sent) = Response::new(fields, Some(reader), ended);
    (response, Body { bytes, end }, sent)
}

/// A whole answer.
pub fn text(text: &str) -> Response {
    let (response, mut body, _) = start(&[("content-type", "text/plain")]);
    let bytes = text.as_bytes().to_vec();
    spawn(async move {
        body.bytes.write_all(bytes).await;
    });
    response
}

pub fn echo(request: Request) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (mut from, _trailers) = Request::consume_body(request, done);
    let (response, mut body, _) = start(&[]);
    spawn(async move {
        loop {
            let (result, bytes) = from.read(Vec::with_capacity(16 << 10)).await;
            let rest = body.bytes.write_all(bytes).await;
            if !rest.is_empty() || result == StreamResult::Dropped {
                break;
            }
        }
    });
    response
}

pub fn pass(request: Request) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (bytes, trailers): (StreamReader<u8>, _) = Request::consume_body(request, done);
    Response::new(Fields::new(), Some(bytes), trailers).0
}

pub fn answer(segments: &[&str]) -> Result<Response, ErrorCode> {
    match segments {
        ["empty"] => {
            let (_, ended) = wit_future::new(|| Ok(None));
            let (response, _) = Response::new(Fields::new(), None, ended);
            response.set_status_code(204).map_err(|()| internal())?;
            Ok(response)
        }
        ["trailers"] => Ok(with_trailers()),
        ["sent"] => Ok(sent()),
        ["broken", how] => Ok(broken(how)),
        ["silent-body"] => {
            let (response, body, _) = start(&[]);
            spawn(async move {
                wait_for(u64::MAX).await;
                drop(body);
            });
            Ok(response)
        }
        ["forgotten"] => {
            let (response, body, _) = start(&[]);
            std::mem::forget(body);
            Ok(response)
        }
        ["trickle"] => Ok(again(1, 1_000_000_000)),
        ["endless"] => Ok(again(4096, 0)),
        _ => {
            let response = text("no such path\n");
            response.set_status_code(404).map_err(|()| internal())?;
            Ok(response)
        }
    }
}

fn internal() -> ErrorCode {
    ErrorCode::InternalError(None)
}

fn with_trailers() -> Response {
    let (response, mut body, _) = start(&[]);
    spawn(async move {
        body.bytes.write_all(TEN.to_vec()).await;
        drop(body.bytes);
        let trailers = Fields::new();
        let _ = trailers.append("x-trailer", b"last");
        let _ = body.end.write(Ok(Some(trailers))).await;
    });
    response
}

fn sent() -> Response {
    let (response, mut body, sent) = start(&[]);
    spawn(async move {
        body.bytes.write_all(TEN.to_vec()).await;
        drop(body);
        println!("sent: {:?}", sent.await);
    });
    response
}

fn broken(how: &str) -> Response {
    let headers: &[(&str, &str)] = match how {
        "short" => &[("content-length", "100")],
        _ => &[],
    };
    let (response, mut body, _) = start(headers);
    let how = how.to_owned();
    spawn(async move {
        body.bytes.write_all(TEN.to_vec()).await;
        match how.as_str() {
            "trap" => {
                // The headers and the first bytes are on their way by then.
                wait_for(100_000_000).await;
                core::arch::wasm32::unreachable();
            }
            "error" => {
                let _ = body.end.write(Err(internal())).await;
            }
            // Well, but for what the headers promise.
            _ => {}
        }
    });
    response
}

fn again(bytes: usize, pause: u64) -> Response {
    let (response, mut body, _) = start(&[]);
    spawn(async move {
        while body.bytes.write_all(vec![b'x'; bytes]).await.is_empty() {
            if pause > 0 {
                wait_for(pause).await;
            }
        }
    });
    response
}
