//! What Spin's toolchain made until version 3: a core module with `wasi:http@0.2.0` and
//! `fermyon:spin/key-value@2.0.0`. Counts its requests.

use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;
use spin_sdk::key_value::{Error, Store};

#[http_component]
fn answer(_request: Request) -> impl IntoResponse {
    match count() {
        Ok(count) => Response::new(200, count),
        Err(error) => Response::new(500, format!("{error:?}")),
    }
}

fn count() -> Result<String, Error> {
    let store = Store::open_default()?;
    let before = match store.get("count")? {
        Some(text) => String::from_utf8_lossy(&text).parse().unwrap_or(0_u64),
        None => 0,
    };
    let now = (before + 1).to_string();
    store.set("count", now.as_bytes())?;
    Ok(now)
}
