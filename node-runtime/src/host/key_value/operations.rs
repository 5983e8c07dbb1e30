//! What all interfaces do, once: bounds, deadlines, pages, and who pays for the memory of what passes.

use std::time::Duration;

use bytes::Bytes;
use shoal_stores::{
    KeyValue, MAX_BYTES_PER_CALL, MAX_KEYS_PER_CALL, StoreId, StoreLimits, key_value::Swap,
};

use super::{Bucket, Failure, OpenStores};
use crate::{
    app::Component,
    engine::{MemoryLimiter, Refused},
};

/// Longest time that a guest waits for a store.
const DEADLINE: Duration = Duration::from_secs(10);
/// Keys of one page.
const PAGE: u32 = 1000;
/// Bytes of keys that one call returns at most where there are no pages.
const ALL_KEYS_BYTES: usize = 4 << 20;

/// The stores of a component, apart from the instance's resources.
pub(super) struct Operations<'a> {
    pub(super) component: &'a Component,
    pub(super) stores: &'a dyn KeyValue,
    pub(super) open: &'a mut OpenStores,
    pub(super) limiter: &'a mut MemoryLimiter,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let bound = refused.bound();
        Self::Other(format!("there is no memory for it: {bound} is used up"))
    }
}

impl Operations<'_> {
    /// The Store that a label is bound to.
    pub(super) fn open(&mut self, label: &str) -> Result<Bucket, Failure> {
        let binding = self
            .component
            .stores
            .iter()
            .find(|binding| binding.label == label);
        let binding = binding.ok_or(Failure::NoSuchStore)?;
        Ok(Bucket {
            id: binding.id,
            limits: StoreLimits::default(),
            open: self.open.one_more()?,
        })
    }

    pub(super) async fn get(
        &mut self,
        store: Target,
        key: String,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let found = self.get_many(store, vec![key]).await?;
        Ok(found.into_iter().next().flatten().map(Vec::from))
    }

    /// One entry for each key, in order.
    pub(super) async fn get_many(
        &mut self,
        store: Target,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, Failure> {
        store.check_keys(&keys)?;
        let (asked, names) = (keys.len(), bytes_of(&keys));
        self.pass(names)?;
        let values = within_deadline(self.stores.get(store.id, keys)).await?;
        if values.len() != asked {
            return Err(Failure::Other("the store answered for other keys".into()));
        }
        let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
        if bytes > MAX_BYTES_PER_CALL {
            let most = MAX_BYTES_PER_CALL;
            return Err(Failure::Other(format!(
                "the values have more than {most} bytes in all"
            )));
        }
        // Until the guest has its copy, and makes its next call.
        self.pass(names + bytes)?;
        Ok(values)
    }

    pub(super) async fn set_many(
        &mut self,
        store: Target,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        check_count(pairs.len())?;
        for (key, value) in &pairs {
            store.check_key(key)?;
            store.check_value(value)?;
        }
        self.pass(pairs.iter().map(|(k, v)| k.len() + v.len()).sum())?;
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key, Bytes::from(value)))
            .collect();
        let set = within_deadline(self.stores.set(store.id, pairs, store.limits)).await;
        self.limiter.passed();
        set
    }

    pub(super) async fn delete_many(
        &mut self,
        store: Target,
        keys: Vec<String>,
    ) -> Result<(), Failure> {
        store.check_keys(&keys)?;
        self.pass(bytes_of(&keys))?;
        let deleted = within_deadline(self.stores.delete(store.id, keys)).await;
        self.limiter.passed();
        deleted
    }

    pub(super) async fn exists(&mut self, store: Target, key: String) -> Result<bool, Failure> {
        store.check_key(&key)?;
        within_deadline(self.stores.exists(store.id, key)).await
    }

    /// Keys after `after`, and where the next page starts.
    pub(super) async fn page(
        &mut self,
        store: Target,
        after: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        self.limiter.passed();
        let page = within_deadline(self.stores.list_keys(store.id, after, PAGE)).await?;
        self.pass(bytes_of(&page.keys))?;
        let next = if page.more {
            page.keys.last().cloned()
        } else {
            None
        };
        Ok((page.keys, next))
    }

    /// Every key, unless there are too many to return at once.
    pub(super) async fn all_keys(&mut self, store: Target) -> Result<Vec<String>, Failure> {
        let (mut all, mut after, mut bytes) = (Vec::new(), None, 0_usize);
        loop {
            let (mut keys, next) = self.page(store, after).await?;
            bytes = bytes.saturating_add(bytes_of(&keys));
            if bytes > ALL_KEYS_BYTES {
                let found = all.len() + keys.len();
                return Err(Failure::Other(format!(
                    "the store has more keys ({found} and more) than one call returns; use an \
                     interface that lists in pages, such as wasi:keyvalue/store"
                )));
            }
            self.pass(bytes)?;
            all.append(&mut keys);
            match next {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }

    pub(super) async fn increment(
        &mut self,
        store: Target,
        key: String,
        delta: i64,
    ) -> Result<i64, Failure> {
        store.check_key(&key)?;
        within_deadline(self.stores.increment(store.id, key, delta, store.limits)).await
    }

    pub(super) async fn compare_and_swap(
        &mut self,
        store: Target,
        key: String,
        expected: Option<Bytes>,
        value: Vec<u8>,
    ) -> Result<Swap, Failure> {
        store.check_value(&value)?;
        self.pass(key.len() + value.len())?;
        let swap =
            self.stores
                .compare_and_swap(store.id, key, expected, value.into(), store.limits);
        let swapped = within_deadline(swap).await;
        self.limiter.passed();
        swapped
    }

    /// Charges what passes between the guest and the store, in place of what passed before.
    pub(super) fn pass(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.limiter.pass(bytes as u64)?)
    }
}

/// Which Store, and what it takes.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) id: StoreId,
    pub(super) limits: StoreLimits,
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
    if count > MAX_KEYS_PER_CALL {
        return Err(Failure::Other(format!(
            "{count} keys in one call; at most {MAX_KEYS_PER_CALL} are allowed"
        )));
    }
    Ok(())
}

fn bytes_of(keys: &[String]) -> usize {
    keys.iter()
        .map(|key| key.len() + size_of::<String>())
        .fold(0, usize::saturating_add)
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
