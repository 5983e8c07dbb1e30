//! What all interfaces do, once: bounds, deadlines, pages.

use std::time::Duration;

use bytes::Bytes;
use shoal_stores::{KeyValue, StoreId, ValueLimits, key_value::Swap};

use super::{Bucket, Failure};
use crate::app::Component;

/// Longest time that a guest waits for a store.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most keys or pairs of one batch.
const BATCH: usize = 10_000;
/// Keys of one page.
const PAGE: u32 = 1000;
/// Bytes of keys that one call returns at most where there are no pages.
const ALL_KEYS_BYTES: usize = 4 << 20;
/// Bytes of values that one call returns at most.
const VALUES_BYTES: usize = 32 << 20;

/// The stores of a component, apart from the instance's resources.
#[derive(Clone, Copy)]
pub(super) struct Operations<'a> {
    pub(super) component: &'a Component,
    pub(super) stores: &'a dyn KeyValue,
}

impl Operations<'_> {
    /// The Store that a label is bound to.
    pub(super) fn open(self, label: &str) -> Result<Bucket, Failure> {
        let binding = self
            .component
            .stores
            .iter()
            .find(|binding| binding.label == label);
        let binding = binding.ok_or(Failure::NoSuchStore)?;
        Ok(Bucket {
            id: binding.id,
            limits: binding.limits,
        })
    }

    pub(super) async fn get(self, store: Target, key: String) -> Result<Option<Vec<u8>>, Failure> {
        let found = self.get_many(store, vec![key]).await?;
        Ok(found.into_iter().next().flatten().map(Vec::from))
    }

    /// One entry for each key, in order.
    pub(super) async fn get_many(
        self,
        store: Target,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, Failure> {
        store.check_keys(&keys)?;
        let asked = keys.len();
        let values = within_deadline(self.stores.get(store.id, keys)).await?;
        if values.len() != asked {
            return Err(Failure::Other("the store answered for other keys".into()));
        }
        let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
        if bytes > VALUES_BYTES {
            let most = VALUES_BYTES;
            return Err(Failure::Other(format!(
                "the values have more than {most} bytes in all"
            )));
        }
        Ok(values)
    }

    pub(super) async fn set_many(
        self,
        store: Target,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        check_count(pairs.len())?;
        for (key, value) in &pairs {
            store.check_key(key)?;
            store.check_value(value)?;
        }
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key, Bytes::from(value)))
            .collect();
        within_deadline(self.stores.set(store.id, pairs, store.limits)).await
    }

    pub(super) async fn delete_many(self, store: Target, keys: Vec<String>) -> Result<(), Failure> {
        store.check_keys(&keys)?;
        within_deadline(self.stores.delete(store.id, keys)).await
    }

    pub(super) async fn exists(self, store: Target, key: String) -> Result<bool, Failure> {
        store.check_key(&key)?;
        within_deadline(self.stores.exists(store.id, key)).await
    }

    /// Keys after `after`, and where the next page starts.
    pub(super) async fn page(
        self,
        store: Target,
        after: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        let page = within_deadline(self.stores.list_keys(store.id, after, PAGE)).await?;
        let next = if page.more {
            page.keys.last().cloned()
        } else {
            None
        };
        Ok((page.keys, next))
    }

    /// Every key, unless there are too many to return at once.
    pub(super) async fn all_keys(self, store: Target) -> Result<Vec<String>, Failure> {
        let (mut all, mut after, mut bytes) = (Vec::new(), None, 0_usize);
        loop {
            let (mut keys, next) = self.page(store, after).await?;
            bytes = keys
                .iter()
                .map(|key| key.len() + size_of::<String>())
                .fold(bytes, usize::saturating_add);
            if bytes > ALL_KEYS_BYTES {
                let found = all.len() + keys.len();
                return Err(Failure::Other(format!(
                    "the store has more keys ({found} and more) than one call returns; use an \
                     interface that lists in pages, such as wasi:keyvalue/store"
                )));
            }
            all.append(&mut keys);
            match next {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }

    pub(super) async fn increment(
        self,
        store: Target,
        key: String,
        delta: i64,
    ) -> Result<i64, Failure> {
        store.check_key(&key)?;
        within_deadline(self.stores.increment(store.id, key, delta, store.limits)).await
    }

    pub(super) async fn compare_and_swap(
        self,
        store: Target,
        key: String,
        expected: Option<Bytes>,
        value: Vec<u8>,
    ) -> Result<Swap, Failure> {
        store.check_value(&value)?;
        let swap =
            self.stores
                .compare_and_swap(store.id, key, expected, value.into(), store.limits);
        within_deadline(swap).await
    }
}

/// Which Store, and what it takes.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) id: StoreId,
    pub(super) limits: ValueLimits,
}

impl From<&Bucket> for Target {
    fn from(bucket: &Bucket) -> Self {
        Self {
            id: bucket.id,
            limits: bucket.limits,
        }
    }
}

impl Target {
    pub(super) fn check_key(&self, key: &str) -> Result<(), Failure> {
        let most = self.limits.key_bytes;
        match key.len() as u64 {
            0 => Err(Failure::Other("a key has at least 1 byte".into())),
            bytes if bytes > most => Err(Failure::Other(format!(
                "the key has {bytes} bytes; at most {most} are allowed"
            ))),
            _ => Ok(()),
        }
    }

    fn check_keys(&self, keys: &[String]) -> Result<(), Failure> {
        check_count(keys.len())?;
        keys.iter().try_for_each(|key| self.check_key(key))
    }

    fn check_value(&self, value: &[u8]) -> Result<(), Failure> {
        let (bytes, most) = (value.len() as u64, self.limits.value_bytes);
        if bytes > most {
            return Err(Failure::Other(format!(
                "the value has {bytes} bytes; at most {most} are allowed"
            )));
        }
        Ok(())
    }
}

fn check_count(count: usize) -> Result<(), Failure> {
    if count > BATCH {
        return Err(Failure::Other(format!(
            "{count} keys in one call; at most {BATCH} are allowed"
        )));
    }
    Ok(())
}

async fn within_deadline<T>(
    call: impl Future<Output = Result<T, shoal_stores::KeyValueError>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(result) => Ok(result?),
        Err(_) => {
            let seconds = DEADLINE.as_secs();
            Err(Failure::Other(format!(
                "the store did not answer within {seconds} s"
            )))
        }
    }
}
