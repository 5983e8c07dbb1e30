use guest_http::Request;

use crate::{Result, Store, Swap, times};

const LARGEST_BODY: usize = 64 << 20;
const ATTEMPTS: usize = 1000;

type Answer = (u16, Vec<u8>);

pub fn answer<S: Store>(store: &S, request: &Request) -> Result<Answer> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
        ["open"] => ok("open"),
        ["get", key] => Ok(value(store.get(key)?)),
        ["set", key] => set_body(store, key, request),
        ["set", key, value] => store.set(key, value.as_bytes()).and_then(|()| ok("set")),
        ["delete", key] => store.delete(key).and_then(|()| ok("deleted")),
        ["exists", key] => ok(&store.exists(key)?.to_string()),
        ["keys"] => ok(&store.keys()?.0.join("\n")),
        ["pages"] => ok(&store.keys()?.1.to_string()),
        ["incr", key] => ok(&store.increment(key, 1)?.to_string()),
        ["incr", key, delta] => match delta.parse() {
            Ok(delta) => ok(&store.increment(key, delta)?.to_string()),
            Err(_) => bad("the delta is no number"),
        },
        ["big", key, bytes] => match bytes.parse() {
            Ok(bytes) => store.set(key, &vec![b'x'; bytes]).and_then(|()| ok("set")),
            Err(_) => bad("the size is no number"),
        },
        ["fill", prefix, count] => fill(store, prefix, count),
        ["times", operation, prefix, count, bytes] => match (count.parse(), bytes.parse()) {
            (Ok(count), Ok(bytes)) => {
                let times = times::times(store, operation, prefix, count, bytes)?;
                times.map_or_else(
                    || bad("not get or set, or a key is missing"),
                    |text| ok(&text),
                )
            }
            _ => bad("the count or the size is no number"),
        },
        _ => compare_and_swap(store, &segments),
    }
}

fn compare_and_swap<S: Store>(store: &S, segments: &[&str]) -> Result<Answer> {
    match segments[..] {
        ["cas", key, old, new] => {
            let expect = |now: Option<&[u8]>| now.unwrap_or_default() == old.as_bytes();
            let swap = store.swap(key, &expect, &|_| new.as_bytes().to_vec(), &|| Ok(()))?;
            swapped(swap)
        }
        ["cas-stale", key, new] => {
            let meanwhile = || store.set(key, b"meanwhile");
            let swap = store.swap(key, &|_| true, &|_| new.as_bytes().to_vec(), &meanwhile)?;
            swapped(swap)
        }
        ["append", key, part] => append(store, key, part),
        _ => batch(store, segments),
    }
}

/// Appends by compare-and-swap until nobody was quicker; answers how many attempts it took.
fn append<S: Store>(store: &S, key: &str, part: &str) -> Result<Answer> {
    let longer = |now: Option<&[u8]>| [now.unwrap_or_default(), part.as_bytes()].concat();
    for attempt in 1..=ATTEMPTS {
        if let Swap::Done = store.swap(key, &|_| true, &longer, &|| Ok(()))? {
            return ok(&attempt.to_string());
        }
    }
    Ok((409, b"too many attempts".to_vec()))
}

fn batch<S: Store>(store: &S, segments: &[&str]) -> Result<Answer> {
    let list = |keys: &str| keys.split(',').map(str::to_owned).collect::<Vec<_>>();
    match segments[..] {
        ["get-many", keys] => {
            let line = |(key, value): (String, Option<Vec<u8>>)| match value {
                Some(value) => format!("{key}={}", String::from_utf8_lossy(&value)),
                None => format!("{key} is not there"),
            };
            let lines: Vec<_> = store.get_many(&list(keys))?.into_iter().map(line).collect();
            ok(&lines.join("\n"))
        }
        ["set-many", pairs] => {
            let pair = |pair: &str| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (key.to_owned(), value.as_bytes().to_vec())
            };
            let pairs: Vec<_> = pairs.split(',').map(pair).collect();
            store.set_many(&pairs).and_then(|()| ok("set"))
        }
        ["delete-many", keys] => store.delete_many(&list(keys)).and_then(|()| ok("deleted")),
        _ => Ok((404, b"no such path".to_vec())),
    }
}

fn set_body<S: Store>(store: &S, key: &str, request: &Request) -> Result<Answer> {
    match request.body(LARGEST_BODY) {
        Ok(body) => store.set(key, &body).and_then(|()| ok("set")),
        Err(message) => bad(&message),
    }
}

fn fill<S: Store>(store: &S, prefix: &str, count: &str) -> Result<Answer> {
    let Ok(count) = count.parse::<u32>() else {
        return bad("the count is no number");
    };
    for n in 0..count {
        store.set(&format!("{prefix}{n:06}"), n.to_string().as_bytes())?;
    }
    ok("filled")
}

fn value(value: Option<Vec<u8>>) -> Answer {
    value.map_or_else(|| (404, b"no such key".to_vec()), |value| (200, value))
}

fn swapped(swap: Swap) -> Result<Answer> {
    let shown = |value: Option<Vec<u8>>| value.unwrap_or_else(|| b"(no such key)".to_vec());
    match swap {
        Swap::Done => ok("swapped"),
        Swap::Differs(now) => Ok((409, [b"differs: ".to_vec(), shown(now)].concat())),
        Swap::Failed(now) => Ok((409, [b"cas-failed: ".to_vec(), shown(now)].concat())),
    }
}

fn ok(text: &str) -> Result<Answer> {
    Ok((200, text.as_bytes().to_vec()))
}

fn bad(text: &str) -> Result<Answer> {
    Ok((400, text.as_bytes().to_vec()))
}
