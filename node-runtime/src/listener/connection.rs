//! One connection: HTTP/1.1, or HTTP/2 if it begins with its preface.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream as StdStream},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::guard::{ActiveRequest, Activity, GuardedSocket, KEEP_ALIVE};
use crate::{
    app::{App, ConnectionPermit},
    serve::{Client, ResponseBody, TrackedBody, respond},
};

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes that are read ahead of what a guest takes.
const READ_BUFFER: usize = 128 << 10;
/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 128;
/// First bytes that tell HTTP/2 from HTTP/1: no method begins so.
const PREFACE: &[u8] = b"PRI ";
/// Longest time until the first bytes.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// How long a connection that is to end may go on with the requests that it has.
const LAST_REQUESTS: Duration = Duration::from_secs(3600);

pub(super) async fn run(
    stream: StdStream,
    client: SocketAddr,
    app: Arc<App>,
    permit: ConnectionPermit,
    stop: CancellationToken,
) {
    // Registered with the runtime that serves, not with the one that accepted.
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let http2 = tokio::select! {
        () = stop.cancelled() => return,
        begun = timeout(FIRST_BYTES, begins_with_preface(&stream)) => match begun {
            Ok(Ok(http2)) => http2,
            _ => return,
        },
    };
    let activity = Activity::new();
    let idle = app
        .serving
        .load()
        .as_ref()
        .map_or(KEEP_ALIVE, |r| r.limits.idle);
    let socket = GuardedSocket::new(stream, Arc::clone(&activity), !http2, idle);
    let service = service(app, client, Arc::clone(&activity));
    if http2 {
        serve_http2(socket, service, &activity, &stop).await;
    } else {
        serve_http1(socket, service, &stop).await;
    }
    drop(permit);
}

async fn begins_with_preface(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    let mut pause = Duration::from_millis(5);
    loop {
        let seen = stream.peek(&mut first).await?;
        let seen = first.get(..seen).unwrap_or_default();
        if seen.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen == PREFACE {
            return Ok(true);
        }
        if !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        // Bytes that were peeked at do not wake anybody again. What is sent at once comes at once;
        // one who sends bit by bit waits longer each time, so that many of them cost little.
        sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
}

async fn serve_http1<S>(socket: GuardedSocket, service: S, stop: &CancellationToken)
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(HEAD_BYTES)
        .max_buf_size(READ_BUFFER)
        .header_read_timeout(None)
        .timer(TokioTimer::new());
    let mut connection = pin!(builder.serve_connection(socket, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(LAST_REQUESTS, connection).await;
}

async fn serve_http2<S>(
    socket: GuardedSocket,
    service: S,
    activity: &Activity,
    stop: &CancellationToken,
) where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static>,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let mut connection = pin!(builder.serve_connection(socket, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = quiet(activity) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_REQUESTS, connection).await;
}

/// Until there was no request for as long as a connection is kept.
async fn quiet(activity: &Activity) {
    loop {
        match activity.patience().unwrap_or(KEEP_ALIVE) {
            Duration::ZERO => return,
            left => tokio::time::sleep_until(Instant::now() + left).await,
        }
    }
}

type Body = TrackedBody<ActiveRequest>;

/// Answers the requests of one connection.
fn service(
    app: Arc<App>,
    client: SocketAddr,
    activity: Arc<Activity>,
) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> {
    let client = Arc::new(Client::new(client));
    service_fn(move |request: Request<Incoming>| {
        let active = activity.request();
        let response = respond(Arc::clone(&app), Arc::clone(&client), request);
        async move {
            let response: Response<ResponseBody> = response.await;
            Ok(response.map(|body| TrackedBody::new(body, active)))
        }
    })
}
