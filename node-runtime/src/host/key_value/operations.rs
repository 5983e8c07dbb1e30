//! What all interfaces do, once: bounds, deadlines, pages, and who pays for the memory of what passes.

use std::sync::Arc;

use bytes::Bytes;
use shoal_crds::{Interface, Reason};
use shoal_stores::{
    Backend, KeyValueError, MAX_BYTES_PER_CALL, MAX_KEYS_PER_CALL, StoreId, StoreLimits,
    key_value::Swap,
};

use super::{Bucket, Failure};
use crate::{
    app::Component,
    assignment::StoreBinding,
    engine::{MemoryLimiter, Refused},
    stores::{Class, Operation, Outcome, StoreClasses},
};

/// Keys of one page.
const PAGE: u32 = 1000;
/// Bytes of keys that one call returns at most where there are no pages.
const ALL_KEYS_BYTES: usize = 4 << 20;

/// The stores of a component, apart from the instance's resources.
pub(super) struct Operations<'a> {
    pub(super) component: &'a Component,
    pub(super) classes: &'a StoreClasses,
    pub(super) limiter: &'a mut MemoryLimiter,
}

/// Which of the component's Stores.
#[derive(Clone, Copy)]
pub(super) struct Target(usize);

impl From<&Bucket> for Target {
    fn from(bucket: &Bucket) -> Self {
        bucket.target
    }
}

/// A Store as it is for one operation.
struct Found<'a> {
    binding: &'a StoreBinding,
    id: StoreId,
    limits: StoreLimits,
    class: Arc<Class>,
    backend: Arc<dyn Backend>,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let bound = refused.bound();
        Self::Other(format!("there is no memory for it: {bound} is used up"))
    }
}

impl<'a> Operations<'a> {
    /// The Store that a label is bound to.
    pub(super) fn find_label(&self, label: &str) -> Result<Target, Failure> {
        let bindings = &self.component.stores;
        let is_it = |binding: &StoreBinding| {
            binding.interface == Interface::KeyValue && binding.label == label
        };
        let target = bindings.iter().position(is_it);
        target.map(Target).ok_or(Failure::NoSuchStore)
    }

    /// The Store, and its class as it is now.
    async fn find(&self, Target(index): Target) -> Result<Found<'a>, Failure> {
        let binding = self.component.stores.get(index);
        let binding = binding.ok_or(Failure::NoSuchStore)?;
        let class = self.classes.find(&binding.class).await?;
        Ok(Found {
            binding,
            id: binding.id,
            limits: class.limits(),
            backend: class.backend()?,
            class,
        })
    }

    /// Refuses an operation on so many keys that is over a bound; `checked` is what its own sizes say.
    fn admit(
        &self,
        store: &Found<'_>,
        operation: Operation,
        keys: usize,
        checked: Result<(), KeyValueError>,
    ) -> Result<(), Failure> {
        let reason = match &checked {
            Ok(()) => Reason::StoreRateExceeded,
            Err(_) => Reason::StoreLimitReached,
        };
        let admitted =
            checked.and_then(|()| store.class.admit(store.id, keys, store.binding.nodes));
        if admitted.is_err() {
            store.class.refused(operation, Outcome::from(&admitted));
        }
        self.told(store, reason, admitted)
    }

    async fn call<T>(
        &self,
        store: &Found<'_>,
        operation: Operation,
        call: impl Future<Output = Result<T, KeyValueError>>,
    ) -> Result<T, Failure> {
        let result = store.class.call(operation, call).await;
        self.told(store, Reason::StoreLimitReached, result)
    }

    /// The app's owner hears of limits as well.
    fn told<T>(
        &self,
        store: &Found<'_>,
        reason: Reason,
        result: Result<T, KeyValueError>,
    ) -> Result<T, Failure> {
        if let Err(KeyValueError::LimitExceeded(problem)) = &result {
            self.tell(store.binding, reason, problem);
        }
        Ok(result?)
    }

    fn tell(&self, binding: &StoreBinding, reason: Reason, problem: &str) {
        let StoreBinding { label, class, .. } = binding;
        let app = &self.component.app.name;
        self.classes.owners().tell(app, reason, || {
            format!("store `{label}` (class `{class}`): {problem}")
        });
    }

    /// Says to the app's owner that an instance holds as many stores open as it may.
    pub(super) fn tell_too_many_open(&self, Target(index): Target) {
        if let Some(binding) = self.component.stores.get(index) {
            let problem = Failure::too_many_open();
            self.tell(binding, Reason::StoreLimitReached, &problem);
        }
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
        let (asked, names) = (keys.len(), bytes_of(&keys));
        self.pass(names)?;
        let store = self.find(store).await?;
        self.admit(&store, Operation::Get, asked, check_names(&keys))?;
        let values = store.backend.get(store.id, keys);
        let values = self.call(&store, Operation::Get, values).await?;
        if values.len() != asked {
            return Err(Failure::Other("the store answered for other keys".into()));
        }
        let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
        if bytes > MAX_BYTES_PER_CALL {
            let most = MAX_BYTES_PER_CALL;
            let refused = refuse(format!(
                "the values have {bytes} bytes in all; at most {most} are allowed in one call"
            ));
            self.told(&store, Reason::StoreLimitReached, refused)?;
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
        self.pass(pairs.iter().map(|(k, v)| k.len() + v.len()).sum())?;
        let store = self.find(store).await?;
        self.admit(
            &store,
            Operation::Set,
            pairs.len(),
            store.check_pairs(&pairs),
        )?;
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key, Bytes::from(value)))
            .collect();
        let set = store.backend.set(store.id, pairs, store.limits);
        let set = self.call(&store, Operation::Set, set).await;
        self.limiter.passed();
        set
    }

    pub(super) async fn delete_many(
        &mut self,
        store: Target,
        keys: Vec<String>,
    ) -> Result<(), Failure> {
        self.pass(bytes_of(&keys))?;
        let store = self.find(store).await?;
        self.admit(&store, Operation::Delete, keys.len(), check_names(&keys))?;
        let deleted = store.backend.delete(store.id, keys);
        let deleted = self.call(&store, Operation::Delete, deleted).await;
        self.limiter.passed();
        deleted
    }

    pub(super) async fn exists(&mut self, store: Target, key: String) -> Result<bool, Failure> {
        self.pass(key.len())?;
        let store = self.find(store).await?;
        self.admit(&store, Operation::Exists, 1, check_name(&key))?;
        let exists = store.backend.exists(store.id, key);
        let exists = self.call(&store, Operation::Exists, exists).await;
        self.limiter.passed();
        exists
    }

    /// Keys after `after`, and where the next page starts.
    pub(super) async fn page(
        &mut self,
        store: Target,
        after: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        self.pass(after.as_ref().map_or(0, String::len))?;
        let store = self.find(store).await?;
        self.admit(&store, Operation::List, 1, Ok(()))?;
        let page = store.backend.list_keys(store.id, after, PAGE);
        let page = self.call(&store, Operation::List, page).await?;
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
                let refused = refuse(format!(
                    "the store has more keys ({found} and more) than the {ALL_KEYS_BYTES} bytes that \
                     one call returns; use an interface that lists in pages, such as \
                     wasi:keyvalue/store"
                ));
                let store = self.find(store).await?;
                self.told(&store, Reason::StoreLimitReached, refused)?;
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
        self.pass(key.len())?;
        let store = self.find(store).await?;
        self.admit(&store, Operation::Increment, 1, store.check_key(&key))?;
        let sum = store.backend.increment(store.id, key, delta, store.limits);
        let sum = self.call(&store, Operation::Increment, sum).await;
        self.limiter.passed();
        sum
    }

    pub(super) async fn compare_and_swap(
        &mut self,
        store: Target,
        key: String,
        expected: Option<Bytes>,
        value: Vec<u8>,
    ) -> Result<Swap, Failure> {
        self.pass(key.len() + expected.as_ref().map_or(0, Bytes::len) + value.len())?;
        let store = self.find(store).await?;
        self.admit(&store, Operation::Swap, 1, store.check_value(&value))?;
        let (value, limits) = (value.into(), store.limits);
        let swap = store
            .backend
            .compare_and_swap(store.id, key, expected, value, limits);
        let swapped = self.call(&store, Operation::Swap, swap).await;
        self.limiter.passed();
        swapped
    }

    /// Charges what passes between the guest and the store, in place of what passed before. Each operation does
    /// so before it waits for anything: what waits is somebody's.
    pub(super) fn pass(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.limiter.pass(bytes as u64)?)
    }
}

impl Found<'_> {
    fn check_key(&self, key: &str) -> Result<(), KeyValueError> {
        check_name(key)?;
        let (bytes, most) = (key.len() as u64, self.limits.key_bytes);
        if bytes > most {
            return refuse(format!(
                "the key has {bytes} bytes; at most {most} are allowed"
            ));
        }
        Ok(())
    }

    fn check_value(&self, value: &[u8]) -> Result<(), KeyValueError> {
        let (bytes, most) = (value.len() as u64, self.limits.value_bytes);
        if bytes > most {
            return refuse(format!(
                "the value has {bytes} bytes; at most {most} are allowed"
            ));
        }
        Ok(())
    }

    fn check_pairs(&self, pairs: &[(String, Vec<u8>)]) -> Result<(), KeyValueError> {
        check_count(pairs.len())?;
        pairs.iter().try_for_each(|(key, value)| {
            self.check_key(key)?;
            self.check_value(value)
        })
    }
}

/// Whether something may have this key. It may be longer than keys are allowed to be now: what was put there under
/// another limit can still be read and deleted.
fn check_name(key: &str) -> Result<(), KeyValueError> {
    match key.len() {
        0 => refuse("a key has at least 1 byte".to_owned()),
        _ => Ok(()),
    }
}

fn check_names(keys: &[String]) -> Result<(), KeyValueError> {
    check_count(keys.len())?;
    keys.iter().try_for_each(|key| check_name(key))
}

fn check_count(count: usize) -> Result<(), KeyValueError> {
    if count > MAX_KEYS_PER_CALL {
        return refuse(format!(
            "{count} keys in one call; at most {MAX_KEYS_PER_CALL} are allowed"
        ));
    }
    Ok(())
}

fn refuse(problem: String) -> Result<(), KeyValueError> {
    Err(KeyValueError::LimitExceeded(problem))
}

fn bytes_of(keys: &[String]) -> usize {
    keys.iter()
        .map(|key| key.len() + size_of::<String>())
        .fold(0, usize::saturating_add)
}
