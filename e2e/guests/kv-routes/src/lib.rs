//! The same paths over every key-value interface, so that one test can try them all.
//!
//! `/open`, `/get/KEY`, `/set/KEY/VALUE` (or the body of a PUT to `/set/KEY`), `/delete/KEY`,
//! `/exists/KEY`, `/keys`, `/incr/KEY[/DELTA]`, `/cas/KEY/OLD/NEW`, `/cas-stale/KEY/VALUE`,
//! `/append/KEY/VALUE`, `/get-many/A,B`, `/set-many/A=1,B=2`, `/delete-many/A,B`,
//! `/fill/PREFIX/COUNT`, `/big/KEY/BYTES` and `/times/get|set/PREFIX/COUNT/BYTES`; `?label=NAME` selects
//! the store.
//!
//! An error of the store is a 500 with its WIT name as text, `other` with its message.

mod routes;
mod times;

use guest_http::{Request, ResponseOutparam, text};

/// What became of a compare-and-swap.
pub enum Swap {
    Done,
    /// The key held something else already before the attempt.
    Differs(Option<Vec<u8>>),
    /// Somebody wrote between look and swap; what the new handle shows.
    Failed(Option<Vec<u8>>),
}

/// An interface lacks an operation, or the store failed with the error of this WIT name.
pub enum Failure {
    NotOffered,
    Store(String),
}

pub type Result<T> = std::result::Result<T, Failure>;

/// A key with its value, if there is one.
pub type Entry = (String, Option<Vec<u8>>);

/// What an open store can do, through whichever interface.
pub trait Store: Sized {
    fn open(label: &str) -> Result<Self>;
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    fn set(&self, key: &str, value: &[u8]) -> Result<()>;
    fn delete(&self, key: &str) -> Result<()>;
    fn exists(&self, key: &str) -> Result<bool>;
    /// All keys, and in how many pages they came.
    fn keys(&self) -> Result<(Vec<String>, usize)>;

    fn increment(&self, _key: &str, _delta: i64) -> Result<i64> {
        Err(Failure::NotOffered)
    }

    /// Looks; if `expect` likes what is there, calls `meanwhile`, then swaps for `new` of it.
    fn swap(
        &self,
        _key: &str,
        _expect: &dyn Fn(Option<&[u8]>) -> bool,
        _new: &dyn Fn(Option<&[u8]>) -> Vec<u8>,
        _meanwhile: &dyn Fn() -> Result<()>,
    ) -> Result<Swap> {
        Err(Failure::NotOffered)
    }

    fn get_many(&self, _keys: &[String]) -> Result<Vec<Entry>> {
        Err(Failure::NotOffered)
    }

    fn set_many(&self, _pairs: &[(String, Vec<u8>)]) -> Result<()> {
        Err(Failure::NotOffered)
    }

    fn delete_many(&self, _keys: &[String]) -> Result<()> {
        Err(Failure::NotOffered)
    }
}

/// Answers a request with the store that it names.
pub fn handle<S: Store>(request: Request, out: ResponseOutparam) {
    let label = request
        .query("label")
        .unwrap_or_else(|| "default".to_owned());
    match S::open(&label).and_then(|store| routes::answer(&store, &request)) {
        Ok((status, body)) => {
            guest_http::answer(out, status, &[("content-type", "text/plain")], &body);
        }
        Err(Failure::NotOffered) => text(out, 501, "this interface has no such operation"),
        Err(Failure::Store(error)) => text(out, 500, &error),
    }
}
