//! How long operations take, by the guest's own clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::{Result, Store};

/// Keys that are used in turn.
const KEYS: u32 = 1000;

/// Does `operation` so often on keys that begin with `prefix`, and says in nanoseconds how long one took
/// in the middle, at the 99th percentile, and all together.
pub fn times<S: Store>(
    store: &S,
    operation: &str,
    prefix: &str,
    count: u32,
    bytes: usize,
) -> Result<Option<String>> {
    let run = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let mut times = Vec::with_capacity(count as usize);
    let began = Instant::now();
    for n in 0..count {
        let key = format!("{prefix}{:06}", n % KEYS);
        // A database may not write what is there already: no value is set twice.
        let mut value = format!("{run}-{n}").into_bytes();
        value.resize(bytes, b'x');
        let one = Instant::now();
        match operation {
            "get" if store.get(&key)?.is_none() => return Ok(None),
            "get" => {}
            "set" => store.set(&key, &value)?,
            _ => return Ok(None),
        }
        times.push(one.elapsed().as_nanos());
    }
    let total = began.elapsed().as_nanos();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied();
    let (Some(middle), Some(late)) = (at(50), at(99)) else {
        return Ok(None);
    };
    Ok(Some(format!(
        "{{\"count\":{count},\"p50\":{middle},\"p99\":{late},\"total\":{total}}}"
    )))
}
