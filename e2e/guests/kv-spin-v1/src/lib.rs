//! The paths of `kv-routes` through `fermyon:spin/key-value`, the first version, whose stores are
//! numbers. `/bad-handle/NUMBER` uses a store that was never opened, `/closed` one that was closed.

use fermyon::spin::key_value;
use guest_http::{Request, ResponseOutparam, text};
use kv_routes::{Failure, Result, Store};

wit_bindgen::generate!({
    path: "../../../stores/wit",
    world: "spin-key-value-v1",
    generate_all
});
guest_http::serve!(handle);

fn handle(request: Request, out: ResponseOutparam) {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
        ["bad-handle", number] => {
            let store = number.parse().unwrap_or(u32::MAX);
            text(out, 200, &format!("{:?}", key_value::get(store, "x")));
        }
        ["closed"] => text(out, 200, &closed()),
        ["opened", count] => text(out, 200, &opened(count.parse().unwrap_or(1))),
        _ => kv_routes::handle::<Numbered>(request, out),
    }
}

fn closed() -> String {
    let Ok(store) = key_value::open("default") else {
        return "not opened".to_owned();
    };
    key_value::close(store);
    key_value::close(store);
    format!("{:?}", key_value::exists(store, "x"))
}

/// How many of so many could be opened at once, and why no more.
fn opened(count: u32) -> String {
    for n in 0..count {
        if let Err(error) = key_value::open("default") {
            return format!("{n}: {error:?}");
        }
    }
    count.to_string()
}

fn failure(error: key_value::Error) -> Failure {
    Failure::Store(match error {
        key_value::Error::StoreTableFull => "store-table-full".to_owned(),
        key_value::Error::NoSuchStore => "no-such-store".to_owned(),
        key_value::Error::AccessDenied => "access-denied".to_owned(),
        key_value::Error::InvalidStore => "invalid-store".to_owned(),
        key_value::Error::NoSuchKey => "no-such-key".to_owned(),
        key_value::Error::Io(message) => format!("io: {message}"),
    })
}

struct Numbered(u32);

impl Drop for Numbered {
    fn drop(&mut self) {
        key_value::close(self.0);
    }
}

impl Store for Numbered {
    fn open(label: &str) -> Result<Self> {
        key_value::open(label).map(Numbered).map_err(failure)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match key_value::get(self.0, key) {
            Ok(value) => Ok(Some(value)),
            Err(key_value::Error::NoSuchKey) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        key_value::set(self.0, key, value).map_err(failure)
    }

    fn delete(&self, key: &str) -> Result<()> {
        key_value::delete(self.0, key).map_err(failure)
    }

    fn exists(&self, key: &str) -> Result<bool> {
        key_value::exists(self.0, key).map_err(failure)
    }

    fn keys(&self) -> Result<(Vec<String>, usize)> {
        key_value::get_keys(self.0)
            .map(|keys| (keys, 1))
            .map_err(failure)
    }
}
