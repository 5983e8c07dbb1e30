//! Objects through `wasi:blobstore@0.2.0-draft`.
//!
//! `POST /put/NAME`: the body, or `?content=TEXT`, becomes an object, piece by piece; `?order=late` says what it becomes only
//! when all was written, `?order=dropped` never finishes it. `/get/NAME` answers with an object, piece by
//! piece, `?start=N&end=M` with a part, `?at-once` in one call. `/info/NAME`, `/has/NAME`, `/list?len=N`,
//! `/skip/COUNT`, `/delete/NAME,NAME`, `/clear`, `/copy/FROM/TO` and `/move/FROM/TO` (`?to=CONTAINER`),
//! `/create`, `/remove`, `/exists`, `/name` (of the container); `/containers/COUNT`, `/values/COUNT`: so many are open at
//! once. `?container=NAME` selects the container.

use guest_http::wasip2::io::streams::{InputStream, OutputStream, StreamError};
use guest_http::{Request, ResponseOutparam, start, text};
use wasi::blobstore::{
    blobstore,
    container::Container,
    types::{IncomingValue, ObjectId, OutgoingValue},
};

wit_bindgen::generate!({
    path: "../../../stores/wit/blobstore",
    world: "blobstore",
    with: { "wasi:io/streams@0.2.1": guest_http::wasip2::io::streams },
    generate_all
});
guest_http::serve!(handle);

/// The most that one `blocking-write-and-flush` takes.
const WRITE: usize = 4096;

type Result<T> = std::result::Result<T, String>;

fn handle(request: Request, out: ResponseOutparam) {
    let container = request.query("container");
    let container = container.as_deref().unwrap_or("default");
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let ["get", name] = segments.as_slice() {
        return get(container, name, &request, out);
    }
    match answer(container, &segments, &request) {
        Ok(answer) => text(out, 200, &answer),
        Err(error) => text(out, 500, &error),
    }
}

fn answer(container: &str, segments: &[&str], request: &Request) -> Result<String> {
    let open = || blobstore::get_container(container);
    let other = request.query("to");
    let id = |container: &str, object: &str| ObjectId {
        container: container.to_owned(),
        object: object.to_owned(),
    };
    let to = other.as_deref().unwrap_or(container);
    let done = |()| "done".to_owned();
    match segments {
        ["put", name] => put(&open()?, name, request),
        ["info", name] => {
            let info = open()?.object_info(name)?;
            let (name, container, size) = (info.name, info.container, info.size);
            let is_recent = info.created_at > 1_700_000_000;
            Ok(format!("{container}/{name} {size} {is_recent}"))
        }
        ["has", name] => open()?.has_object(name).map(|has| has.to_string()),
        ["list"] => list(&open()?, request),
        ["skip", count] => {
            let names = open()?.list_objects()?;
            let (skipped, is_over) = names.skip_stream_object_names(count.parse().unwrap_or(0))?;
            Ok(format!("{skipped} {is_over}"))
        }
        ["delete", names] => {
            let names: Vec<String> = names.split(',').map(str::to_owned).collect();
            match names.as_slice() {
                [one] => open()?.delete_object(one).map(done),
                many => open()?.delete_objects(many).map(done),
            }
        }
        ["clear"] => open()?.clear().map(done),
        ["copy", from, name] => {
            blobstore::copy_object(&id(container, from), &id(to, name)).map(done)
        }
        ["move", from, name] => {
            blobstore::move_object(&id(container, from), &id(to, name)).map(done)
        }
        ["create"] => blobstore::create_container(container).map(|_| "created".to_owned()),
        ["remove"] => blobstore::delete_container(container).map(done),
        ["exists"] => blobstore::container_exists(container).map(|exists| exists.to_string()),
        ["name"] => {
            let container = open()?;
            Ok(format!("{} {}", container.name()?, container.info()?.name))
        }
        ["containers", count] => {
            let all: Result<Vec<Container>> = (0..number(count)).map(|_| open()).collect();
            all.map(|all| all.len().to_string())
        }
        ["values", count] => {
            let container = open()?;
            let one = |_| container.get_data("a", 0, u64::MAX);
            let all: Result<Vec<IncomingValue>> = (0..number(count)).map(one).collect();
            all.map(|all| all.len().to_string())
        }
        _ => Err("no such path".to_owned()),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn put(container: &Container, name: &str, request: &Request) -> Result<String> {
    let order = request.query("order").unwrap_or_default();
    let value = OutgoingValue::new_outgoing_value();
    let body = value
        .outgoing_value_write_body()
        .map_err(|()| "the body was taken")?;
    if value.outgoing_value_write_body().is_ok() {
        return Err("the body was taken twice".to_owned());
    }
    if order != "late" {
        container.write_data(name, &value)?;
    }
    let mut written = match request.query("content") {
        Some(content) => write(&body, content.as_bytes()),
        None => Ok(()),
    };
    request.stream(|piece| {
        written = write(&body, piece);
        written.is_ok()
    })?;
    drop(body);
    if order == "dropped" {
        return Ok("dropped".to_owned());
    }
    if order == "late" {
        written?;
        container.write_data(name, &value)?;
        written = Ok(());
    }
    // Why a write failed is what this says.
    OutgoingValue::finish(value)?;
    written.map(|()| "written".to_owned())
}

fn write(body: &OutputStream, bytes: &[u8]) -> Result<()> {
    let mut pieces = bytes.chunks(WRITE);
    pieces.try_for_each(|piece| body.blocking_write_and_flush(piece).map_err(told))
}

fn told(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}

fn get(container: &str, name: &str, request: &Request, out: ResponseOutparam) {
    let bound = |name: &str, otherwise| request.query(name).map_or(otherwise, |text| number(&text));
    let value = blobstore::get_container(container)
        .and_then(|container| container.get_data(name, bound("start", 0), bound("end", u64::MAX)));
    let value = match value {
        Ok(value) => value,
        Err(error) => return text(out, 500, &error),
    };
    let size = value.size().to_string();
    if request.query("at-once").is_some() {
        return match IncomingValue::incoming_value_consume_sync(value) {
            Ok(bytes) => guest_http::answer(out, 200, &[("x-size", &size)], &bytes),
            Err(error) => text(out, 500, &error),
        };
    }
    match IncomingValue::incoming_value_consume_async(value) {
        Ok(stream) => forward(&stream, start(out, 200, &[("x-size", &size)])),
        Err(error) => text(out, 500, &error),
    }
}

fn forward(stream: &InputStream, body: guest_http::Body) {
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(piece) if body.write(&piece).is_ok() => {}
            Ok(_) => return,
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
    let _ = body.finish();
}

fn list(container: &Container, request: &Request) -> Result<String> {
    let len = request.query("len").map_or(u64::MAX, |text| number(&text));
    let names = container.list_objects()?;
    let (mut all, mut calls) = (Vec::new(), 0);
    loop {
        let (mut some, is_over) = names.read_stream_object_names(len)?;
        calls += 1;
        all.append(&mut some);
        if is_over {
            break;
        }
    }
    all.sort_unstable();
    Ok(format!("{calls}: {}", all.join(" ")))
}
