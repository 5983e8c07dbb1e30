//! The paths of `sqlite-routes` through the asynchronous functions of `spin:sqlite@3.1.0`, and those that only
//! these make possible. `POST /stream`: columns of the statement in the body, the number of its rows, whether it took
//! more than one read to have them, and how they ended. `POST /first/COUNT` takes so many rows of the statement and
//! leaves the rest, and the connection does another. `POST /beside`: each line is a statement, all on one
//! connection and all begun before the first has ended. `POST /give-up`: begins the statement and cancels it.

mod paths;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use spin_sdk::http::body::IncomingBodyExt as _;
use spin_sdk::http::{IntoResponse, Request, Response, StatusCode};
use spin_sdk::http_service;
use spin_sdk::sqlite::{Connection, Error, Value};
use spin_sdk::wit_bindgen::StreamResult;

/// The error's WIT name, with its text if it has one.
type Result<T> = std::result::Result<T, String>;

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let uri = request.uri().clone();
    let query = uri.query().unwrap_or_default();
    let label = query.strip_prefix("label=").unwrap_or("default");
    let segments: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let body = request.into_body().bytes().await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    let (status, text) = match answer(label, &segments, &body).await {
        Ok(text) => (200, text),
        Err(error) => (500, error),
    };
    let mut response = Response::new(text);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response
}

async fn answer(label: &str, segments: &[&str], body: &str) -> Result<String> {
    match segments {
        ["run"] => paths::run(label, body).await,
        ["values"] => paths::values(label).await,
        ["twice"] => paths::twice(label).await,
        ["count"] => paths::count(label).await,
        ["left-behind"] => paths::left_behind(label).await,
        ["connections", count] => paths::connections(label, number(count)).await,
        ["large", bytes] => paths::large(label, number(bytes)).await,
        ["stream"] => stream(label, body).await,
        ["first", count] => first(label, body, number(count)).await,
        ["beside"] => beside(label, body).await,
        ["give-up"] => give_up(label, body).await,
        _ => Err("no such path".to_owned()),
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

fn name(error: Error) -> String {
    match error {
        Error::NoSuchDatabase => "no-such-database".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::InvalidConnection => "invalid-connection".to_owned(),
        Error::DatabaseFull => "database-full".to_owned(),
        Error::Io(message) => format!("io: {message}"),
    }
}

async fn open(label: &str) -> Result<Connection> {
    Connection::open(label).await.map_err(name)
}

/// Rows of a statement.
async fn rows(connection: &Connection, statement: &str) -> Result<Vec<Vec<Value>>> {
    with(connection, statement, Vec::new()).await
}

async fn with(
    connection: &Connection,
    statement: &str,
    parameters: Vec<Value>,
) -> Result<Vec<Vec<Value>>> {
    let answer = connection.execute(statement, parameters);
    let rows = answer.await.map_err(name)?.collect().await.map_err(name)?;
    Ok(rows.into_iter().map(|row| row.values).collect())
}

async fn stream(label: &str, statement: &str) -> Result<String> {
    let connection = open(label).await?;
    let answer = connection.execute(statement, []).await.map_err(name)?;
    let (columns, mut stream, end) = answer.into_inner();
    let (mut rows, mut reads) = (0, 0);
    loop {
        let (result, batch) = stream.read(Vec::with_capacity(1 << 16)).await;
        rows += batch.len();
        reads += usize::from(!batch.is_empty());
        if result == StreamResult::Dropped {
            break;
        }
    }
    let end = end.await.map_or_else(name, |()| "all".to_owned());
    Ok(format!("{} {rows} {} {end}", columns.join(","), reads > 1))
}

async fn first(label: &str, statement: &str, count: usize) -> Result<String> {
    let connection = open(label).await?;
    let mut answer = connection.execute(statement, []).await.map_err(name)?;
    let mut taken = 0;
    while taken < count && answer.next().await.is_some() {
        taken += 1;
    }
    drop(answer);
    let then = rows(&connection, "SELECT 'free'").await?;
    Ok(format!("{taken} {}", paths::shown(&then)))
}

async fn beside(label: &str, statements: &str) -> Result<String> {
    let connection = &open(label).await?;
    let calls = statements.lines().map(|statement| async move {
        let done = rows(connection, statement).await;
        done.map_or_else(|error| format!("!{error}"), |rows| paths::shown(&rows))
    });
    let mut calls: Vec<_> = calls.map(|call| (Box::pin(call), None)).collect();
    poll_fn(|cx| {
        for (call, done) in &mut calls {
            if done.is_none()
                && let Poll::Ready(line) = call.as_mut().poll(cx)
            {
                *done = Some(line);
            }
        }
        match calls.iter().all(|(_, done)| done.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    let lines: Vec<String> = calls.into_iter().filter_map(|(_, done)| done).collect();
    Ok(lines.join("\n"))
}

async fn give_up(label: &str, statement: &str) -> Result<String> {
    let connection = open(label).await?;
    let mut call = pin!(rows(&connection, statement));
    poll_fn(|cx| {
        let _ = call.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    Ok("given up".to_owned())
}
