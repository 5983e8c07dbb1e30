//! Who may call for which Store, and how much such a Store may hold whatever a call says.

use std::{sync::Arc, time::Duration};

use shoal_protocol::{Grants, Role, server::require, v1};
use tonic::{Request, Status};

use crate::{KeyValueError, StoreId, StoreLimits, blob::OBJECT_BYTES, wire};

/// A runtime may hear of an assignment a moment before the store hears of the grant that goes with it.
const GRANT_PATIENCE: Duration = Duration::from_secs(1);

/// Knows what classes allow.
pub trait Ceilings: Send + Sync {
    /// What the class of this Store says, 0 where it says nothing; `None`: its class is not known (yet).
    fn of(&self, store: StoreId) -> Option<v1::StoreLimits>;
}

/// See the module.
#[derive(Clone)]
pub struct Admission {
    grants: Arc<Grants>,
    ceilings: Arc<dyn Ceilings>,
}

impl Admission {
    /// Lets in whom `grants` names. A runtime says with each call what the class of the Store allows; one that says
    /// more than `ceilings` is not believed.
    pub fn new(grants: Arc<Grants>, ceilings: Arc<dyn Ceilings>) -> Self {
        Self { grants, ceilings }
    }

    /// The Store that a request names, if its caller may open it.
    pub(super) async fn store<T>(&self, request: &Request<T>, id: &str) -> Result<StoreId, Status> {
        let caller = require(request, &[Role::Runtime])?;
        let store = parse(id)?;
        let granted = self
            .grants
            .allows_within(GRANT_PATIENCE, |table| {
                table.allows_store(caller.pod_uid(), id)
            })
            .await;
        if !granted {
            tracing::debug!(
                pod_uid = caller.pod_uid(),
                store = id,
                "refused: not granted"
            );
            return Err(KeyValueError::AccessDenied.into());
        }
        Ok(store)
    }

    /// Limits of a Store of values or of a database, of which a runtime says that they are `said`.
    pub(super) fn limits(&self, store: StoreId, said: Option<v1::StoreLimits>) -> StoreLimits {
        self.bounded(store, said, StoreLimits::default())
    }

    /// The same of a Store of objects.
    pub(super) fn object_limits(
        &self,
        store: StoreId,
        said: Option<v1::StoreLimits>,
    ) -> StoreLimits {
        let unsaid = StoreLimits {
            value_bytes: OBJECT_BYTES,
            ..StoreLimits::default()
        };
        self.bounded(store, said, unsaid)
    }

    fn bounded(
        &self,
        store: StoreId,
        said: Option<v1::StoreLimits>,
        unsaid: StoreLimits,
    ) -> StoreLimits {
        let said = wire::limits_from_wire(said);
        let Some(class) = self.ceilings.of(store) else {
            return said;
        };
        let given = |value: u64| (value != 0).then_some(value);
        let fewer = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        StoreLimits {
            key_bytes: given(class.key_bytes)
                .unwrap_or(unsaid.key_bytes)
                .min(said.key_bytes),
            value_bytes: given(class.value_bytes)
                .unwrap_or(unsaid.value_bytes)
                .min(said.value_bytes),
            keys: fewer(given(class.keys), said.keys),
            bytes: fewer(given(class.bytes), said.bytes),
        }
    }
}

pub(super) fn parse(id: &str) -> Result<StoreId, Status> {
    id.parse()
        .map_err(|error: crate::InvalidStoreId| Status::invalid_argument(error.to_string()))
}

#[cfg(test)]
mod tests {
    use shoal_protocol::v1::GrantSet;

    use super::*;

    struct Class(Option<v1::StoreLimits>);

    impl Ceilings for Class {
        fn of(&self, _: StoreId) -> Option<v1::StoreLimits> {
            self.0
        }
    }

    fn admission(class: Option<v1::StoreLimits>) -> Admission {
        Admission::new(Grants::fixed(GrantSet::default()), Arc::new(Class(class)))
    }

    #[tokio::test]
    async fn the_smaller_of_what_the_class_and_the_runtime_say_counts() {
        let all = |most: u64| v1::StoreLimits {
            key_bytes: most,
            value_bytes: most,
            keys: most,
            bytes: most,
        };
        let store = StoreId::random();
        let of = |class, said| {
            let limits = admission(Some(all(class))).limits(store, Some(all(said)));
            (
                limits.key_bytes,
                limits.value_bytes,
                limits.keys,
                limits.bytes,
            )
        };
        assert_eq!(of(7, u64::MAX), (7, 7, Some(7), Some(7)));
        assert_eq!(of(7, 3), (3, 3, Some(3), Some(3)));
        let default = StoreLimits::default();
        let (keys, values) = (default.key_bytes, default.value_bytes);
        assert_eq!(
            of(0, u64::MAX),
            (keys, values, Some(u64::MAX), Some(u64::MAX))
        );
        assert_eq!(of(7, 0), (7, 7, Some(7), Some(7)));
        let objects = admission(Some(all(0))).object_limits(store, Some(all(u64::MAX)));
        assert_eq!(objects.value_bytes, OBJECT_BYTES);
    }

    #[tokio::test]
    async fn of_a_class_that_is_not_known_the_runtime_is_believed() {
        let limits = admission(None).limits(StoreId::random(), None);
        assert_eq!(limits, StoreLimits::default());
    }
}
