//! `POST storeorphans/adopt`: a Store that has the data again.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use kube::api::{Api as Objects, ListParams, ObjectMeta, PostParams};
use shoal_crds::{Adoption, GROUP, Interface, Reason, ReclaimPolicy, Store, StoreSpec};
use shoal_protocol::v1::Orphan;

use super::access::Deed;
use super::audit::about_store;
use super::failure::Failure;
use super::orphans::{deed, no_store_has};
use super::user::User;
use super::{Api, timely};

pub(super) async fn adopt(
    State(api): State<Arc<Api>>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Result<(StatusCode, Json<Store>), Failure> {
    let adoption: Adoption = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad_request(format!("the body is no adoption: {error}")))?;
    let namespace = adoption.namespace.as_str();
    if namespace.is_empty() {
        return Err(Failure::bad_request("`namespace` is empty"));
    }
    api.access
        .check(&user, deed("create", "adopt", &id))
        .await?;
    // It makes a Store there, which not everyone may who may give data away.
    let makes = Deed {
        verb: "create",
        group: GROUP,
        resource: "stores",
        namespace,
        ..Deed::default()
    };
    api.access.check(&user, makes).await?;
    let orphan = api.pod.orphan(&id).await?;
    no_store_has(&api, &id).await?;
    let store = store(&id, orphan, &adoption)?;
    may_be_bound(&api, namespace, &store.spec)?;
    let stores: Objects<Store> = Objects::namespaced(api.client.clone(), namespace);
    nobody_answers(&stores, &store).await?;
    let made = timely(stores.create(&PostParams::default(), &store)).await?;
    let what = format!("gave it the data of the orphan {id}");
    api.audit
        .tell(about_store(&made), &user, Reason::Adopted, &what);
    Ok((StatusCode::CREATED, Json(made)))
}

/// Whoever may make Stores in a namespace has no data in a class that is not for it.
fn may_be_bound(api: &Api, namespace: &str, spec: &StoreSpec) -> Result<(), Failure> {
    let (class, interface) = (spec.class_name.as_str(), spec.interface);
    let may = api
        .world
        .with(|index| shoal_plan::may_make_store(index, namespace, class, interface));
    may.map_err(Failure::conflict)
}

/// The Store that is to be made.
fn store(id: &str, orphan: Orphan, adoption: &Adoption) -> Result<Store, Failure> {
    let interface = Interface::parse(&orphan.interface).ok_or_else(|| {
        Failure::bad_request(format!(
            "the data is of interface `{}`, which this version does not serve",
            orphan.interface
        ))
    })?;
    let app = adoption.app.clone().unwrap_or(orphan.app);
    let label = adoption.label.clone().unwrap_or(orphan.label);
    let name = adoption.name.clone();
    // One of that name that is there already is told of when this one is made.
    let unsaid = || shoal_plan::store_name(&app, &label, interface, |_| false);
    Ok(Store {
        metadata: ObjectMeta {
            name: Some(name.unwrap_or_else(unsaid)),
            ..ObjectMeta::default()
        },
        spec: StoreSpec {
            app,
            label,
            interface,
            class_name: orphan.class,
            reclaim_policy: ReclaimPolicy::Retain,
            id: Some(id.to_owned()),
        },
        status: None,
    })
}

/// Of two Stores for one label the older counts: the data would be there and nobody would find it.
async fn nobody_answers(stores: &Objects<Store>, new: &Store) -> Result<(), Failure> {
    let StoreSpec { app, label, .. } = &new.spec;
    let existing = timely(stores.list(&ListParams::default())).await?;
    let same = |store: &&Store| {
        let spec = &store.spec;
        spec.app == *app && spec.label == *label && spec.interface == new.spec.interface
    };
    let Some(same) = existing.items.iter().find(same) else {
        return Ok(());
    };
    let name = same.metadata.name.as_deref().unwrap_or_default();
    Err(Failure::conflict(format!(
        "Store `{name}` is there already for label `{label}` of App `{app}`: adopt under another label and \
         have `spec.stores` of the App name the Store, or delete `{name}` first"
    )))
}
