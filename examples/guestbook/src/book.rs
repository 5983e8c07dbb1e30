//! The entries in the key-value store. Every entry has a key of its own, so that two replicas
//! that write at the same time cannot lose one.

use std::fmt;

use crate::entry::Entry;
use wasi::keyvalue::store::Bucket;
use wasi::keyvalue::{atomics, batch, store};

wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });

const STORE: &str = "default";
const VISITS: &str = "visits";
const PREFIX: &str = "entry-";
/// The page shows as many; of older ones the guestbook keeps up to [`KEPT`].
const SHOWN: usize = 50;
const KEPT: usize = 500;
/// Far more pages of keys than a store of [`KEPT`] entries has.
const MOST_PAGES: usize = 100;

/// Why the store did not do what was asked.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self(match error {
            store::Error::NoSuchStore => format!("there is no store `{STORE}`"),
            store::Error::AccessDenied => format!("the store `{STORE}` may not be used"),
            store::Error::Other(message) => message,
        })
    }
}

pub struct Book {
    bucket: Bucket,
}

impl Book {
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            bucket: store::open(STORE)?,
        })
    }

    /// Counts one more visit and says how many there were.
    pub fn count_visit(&self) -> Result<i64, Error> {
        Ok(atomics::increment(&self.bucket, VISITS, 1)?)
    }

    /// The newest entries, newest first.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut keys = self.keys()?;
        keys.truncate(SHOWN);
        let pairs = batch::get_many(&self.bucket, &keys)?;
        let mut found: Vec<_> = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((key, serde_json::from_slice(&value?).ok()?)))
            .collect();
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    pub fn add(&self, entry: &Entry) -> Result<(), Error> {
        let value = serde_json::to_vec(entry).map_err(|error| Error(error.to_string()))?;
        self.bucket.set(&new_key(entry.at), &value)?;
        self.forget_oldest()
    }

    fn forget_oldest(&self) -> Result<(), Error> {
        let keys = self.keys()?;
        match keys.get(KEPT..) {
            Some(oldest) if !oldest.is_empty() => Ok(batch::delete_many(&self.bucket, oldest)?),
            _ => Ok(()),
        }
    }

    /// The keys of all entries, newest first.
    fn keys(&self) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = self.bucket.list_keys(cursor.as_deref())?;
            keys.extend(page.keys.into_iter().filter(|key| key.starts_with(PREFIX)));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        keys.sort_unstable_by(|a, b| b.cmp(a));
        Ok(keys)
    }
}

/// Sorts by time, and is unique: two entries of the same millisecond differ in the random part.
fn new_key(at: u64) -> String {
    format!(
        "{PREFIX}{at:014}-{:016x}",
        wasip2::random::random::get_random_u64()
    )
}
