//! The entries of a Store, a page at a time.

use shoal_protocol::v1;

use crate::{Backend, KeyValueError, StoreId};

/// Keys that a page looks at.
const KEYS: u32 = 500;
/// A page ends with the value that makes it larger than this, in bytes.
const PAGE_BYTES: usize = 1024 * 1024;

/// The page after a key (exclusive; `None`: the first).
pub(super) async fn read(
    backend: &dyn Backend,
    store: StoreId,
    after: Option<String>,
) -> Result<v1::ReadEntriesResponse, KeyValueError> {
    let listed = backend.list_keys(store, after, KEYS).await?;
    let mut page = Page::default();
    let mut rest = listed.keys.as_slice();
    let mut at_once = rest.len();
    while !rest.is_empty() && page.bytes < PAGE_BYTES {
        let (now, later) = rest.split_at(at_once.min(rest.len()));
        match backend.get(store, now.to_vec()).await {
            Ok(values) => {
                page.take(now, values);
                rest = later;
            }
            // Their values are more than one call carries; one value alone never is.
            Err(KeyValueError::LimitExceeded(_)) if now.len() > 1 => at_once = now.len() / 2,
            Err(error) => return Err(error),
        }
    }
    let is_last = rest.is_empty() && !listed.more;
    Ok(v1::ReadEntriesResponse {
        pairs: page.pairs,
        next: if is_last { String::new() } else { page.last },
    })
}

#[derive(Default)]
struct Page {
    pairs: Vec<v1::Pair>,
    bytes: usize,
    last: String,
}

impl Page {
    /// Of a key that was deleted since it was listed there is no value.
    fn take(&mut self, keys: &[String], values: Vec<Option<bytes::Bytes>>) {
        for (key, value) in keys.iter().zip(values) {
            self.last.clone_from(key);
            if let Some(value) = value {
                self.bytes += key.len() + value.len();
                let key = key.clone();
                self.pairs.push(v1::Pair { key, value });
            }
        }
    }
}
