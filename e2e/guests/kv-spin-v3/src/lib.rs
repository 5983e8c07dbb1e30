//! The paths of `kv-routes` that `spin:key-value@3.0.0` has operations for, and those that only
//! asynchronous calls make possible: `/at-once/COUNT` reads so many keys in calls that run beside each
//! other, `/set-at-once/COUNT/BYTES` writes so, `/exists-at-once/COUNT/BYTES` asks so for a key
//! of that length, `/first/COUNT` takes so many keys of the listing and leaves it, `/give-up/KEY` leaves a call.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use percent_encoding::percent_decode_str;
use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_service;
use spin_sdk::key_value::{Error, Store};
use spin_sdk::wit_bindgen::StreamResult;

type Answer = (u16, Vec<u8>);

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let query = request.uri().query().unwrap_or_default();
    let label = query.strip_prefix("label=").unwrap_or("default");
    let label = decoded(label);
    let path = request.uri().path();
    let segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (status, body) = match answer(&label, &segments).await {
        Ok(answer) => answer,
        Err(error) => (500, name(&error).into_bytes()),
    };
    let status = spin_sdk::http::StatusCode::from_u16(status).unwrap_or_default();
    let mut response = Response::new(String::from_utf8_lossy(&body).into_owned());
    *response.status_mut() = status;
    response
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn name(error: &Error) -> String {
    match error {
        Error::StoreTableFull => "store-table-full".to_owned(),
        Error::NoSuchStore => "no-such-store".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::Other(message) => format!("other: {message}"),
    }
}

async fn answer(label: &str, segments: &[&str]) -> Result<Answer, Error> {
    if let ["opened", count] = segments {
        return opened(label, number(count)).await;
    }
    let store = Store::open(label).await?;
    match segments {
        ["open"] => Ok(text("open")),
        ["get", key] => Ok(store
            .get(key)
            .await?
            .map_or_else(|| (404, b"no such key".to_vec()), |value| (200, value))),
        ["set", key, value] => store.set(key, value).await.map(|()| text("set")),
        ["delete", key] => store.delete(key).await.map(|()| text("deleted")),
        ["exists", key] => Ok(text(&store.exists(key).await?.to_string())),
        ["keys"] => Ok(text(&store.get_keys().await.collect().await?.join("\n"))),
        ["pages"] => pages(&store).await,
        ["big", key, bytes] => store
            .set(key, vec![b'x'; number(bytes)])
            .await
            .map(|()| text("set")),
        ["fill", prefix, count] => {
            for n in 0..number(count) {
                store.set(format!("{prefix}{n:06}"), n.to_string()).await?;
            }
            Ok(text("filled"))
        }
        ["at-once", count] => at_once(&store, number(count)).await,
        ["set-at-once", count, bytes] => set_at_once(&store, number(count), number(bytes)).await,
        ["exists-at-once", count, bytes] => {
            exists_at_once(&store, number(count), number(bytes)).await
        }
        ["first", count] => first(&store, number(count)).await,
        ["give-up", key] => give_up(&store, key).await,
        _ => Ok((404, b"no such path".to_vec())),
    }
}

fn text(text: &str) -> Answer {
    (200, text.as_bytes().to_vec())
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(1)
}

/// How many reads it took to see all keys.
async fn pages(store: &Store) -> Result<Answer, Error> {
    let (mut keys, end) = store.get_keys().await.into_inner();
    let mut pages = 0;
    loop {
        let (result, page) = keys.read(Vec::with_capacity(1000)).await;
        pages += usize::from(!page.is_empty());
        if result == StreamResult::Dropped {
            break;
        }
    }
    end.await?;
    Ok(text(&pages.to_string()))
}

async fn at_once(store: &Store, count: usize) -> Result<Answer, Error> {
    let values = all((0..count).map(|n| store.get(format!("k{n:06}")))).await?;
    Ok(text(&values.iter().flatten().count().to_string()))
}

async fn first(store: &Store, count: usize) -> Result<Answer, Error> {
    let (mut keys, end) = store.get_keys().await.into_inner();
    let mut first = Vec::new();
    while first.len() < count
        && let Some(key) = keys.next().await
    {
        first.push(key);
    }
    drop(keys);
    end.await?;
    Ok(text(&first.join("\n")))
}

/// Asks so often for a key of so many bytes, in calls that run beside each other.
async fn exists_at_once(store: &Store, count: usize, bytes: usize) -> Result<Answer, Error> {
    let key = &"k".repeat(bytes);
    let calls = (0..count).map(|_| async move { store.exists(key).await.map(|_| ()) });
    all(calls).await?;
    Ok(text("asked"))
}

/// Sets so many keys to as many bytes each, in calls that run beside each other.
async fn set_at_once(store: &Store, count: usize, bytes: usize) -> Result<Answer, Error> {
    let value = &vec![b'x'; bytes];
    let calls = (0..count).map(|n| async move { store.set(format!("k{n:06}"), value).await });
    all(calls).await?;
    Ok(text("set"))
}

/// Runs calls beside each other; gives what they gave, or the first failure.
async fn all<T>(
    calls: impl Iterator<Item = impl Future<Output = Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut all = Vec::new();
    poll_fn(|cx| {
        let mut failed = None;
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(value)) => {
                all.push(value);
                false
            }
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                false
            }
        });
        match failed {
            Some(error) => Poll::Ready(Err(error)),
            None if calls.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await?;
    Ok(all)
}

/// Starts a call and cancels it.
async fn give_up(store: &Store, key: &str) -> Result<Answer, Error> {
    {
        let mut call = pin!(store.get(key));
        poll_fn(|cx| {
            let _ = call.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }
    Ok(text("given up"))
}

/// How many of so many stores could be open at once, and why no more.
async fn opened(label: &str, count: usize) -> Result<Answer, Error> {
    let mut open = Vec::new();
    while open.len() < count {
        match Store::open(label).await {
            Ok(store) => open.push(store),
            Err(error) => return Ok(text(&format!("{}: {}", open.len(), name(&error)))),
        }
    }
    Ok(text(&open.len().to_string()))
}
