//! The Store that a request names.

use kube::api::Api as Objects;
use shoal_crds::{Interface, Store};

use super::{Api, failure::Failure, timely};

/// Where the data of a Store is.
pub(super) struct Bound {
    pub(super) store: Store,
    /// Its `spec.id`.
    pub(super) id: String,
    pub(super) class: String,
}

/// The Store of this name, as the API server has it now.
pub(super) async fn bound(api: &Api, namespace: &str, name: &str) -> Result<Bound, Failure> {
    let objects: Objects<Store> = Objects::namespaced(api.client.clone(), namespace);
    let store = timely(objects.get(name)).await?;
    if store.spec.interface != Interface::KeyValue {
        let interface = store.spec.interface.as_str();
        return Err(Failure::bad_request(format!(
            "Store `{name}` is of interface {interface}; exports and imports are of Stores of interface KeyValue"
        )));
    }
    let is_bound = store.status.as_ref().is_some_and(|status| status.bound);
    match store.spec.id.clone().filter(|_| is_bound) {
        Some(id) => Ok(Bound {
            id,
            class: store.spec.class_name.clone(),
            store,
        }),
        None => Err(Failure::conflict(format!(
            "Store `{name}` is not bound (yet); see its status"
        ))),
    }
}
