//! `storeorphans`: data whose Store is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta, Time};
use kube::api::{Api as Objects, ListParams};
use serde::Deserialize;
use serde_json::json;
use shoal_crds::runtime_api::{OrphanedStore, StoreOrphanStatus};
use shoal_crds::{
    Interface, RUNTIME_GROUP, RUNTIME_VERSION, Reason, Store, StoreOrphan, StoreOrphanList,
};
use shoal_protocol::v1::Orphan;

use super::access::Deed;
use super::audit::about_orphan;
use super::failure::Failure;
use super::user::User;
use super::{Api, timely};

/// A purge that is not done by then is to be asked for again.
const PURGE: Duration = Duration::from_secs(25);
/// Stores of one page.
const PAGE: u32 = 500;

#[derive(Deserialize)]
pub(super) struct Parameters {
    /// Items of a page; 0: as many as come at once.
    #[serde(default)]
    limit: u32,
    /// What the page before said.
    #[serde(default, rename = "continue")]
    after: String,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(user): Extension<User>,
    Query(Parameters { limit, after }): Query<Parameters>,
) -> Result<Json<StoreOrphanList>, Failure> {
    api.access.check(&user, deed("list", "", "")).await?;
    let found = api.pod.orphans(&after, limit).await?;
    let last = found.orphans.last().map(|orphan| orphan.store_id.clone());
    Ok(Json(StoreOrphanList {
        api_version: format!("{RUNTIME_GROUP}/{RUNTIME_VERSION}"),
        kind: "StoreOrphanList".to_owned(),
        metadata: ListMeta {
            continue_: last.filter(|_| found.more),
            ..ListMeta::default()
        },
        items: found.orphans.into_iter().map(object).collect(),
    }))
}

pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
) -> Result<Json<StoreOrphan>, Failure> {
    api.access.check(&user, deed("get", "", &id)).await?;
    Ok(Json(object(api.pod.orphan(&id).await?)))
}

/// Removes the data for good.
pub(super) async fn purge(
    State(api): State<Arc<Api>>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    api.access.check(&user, deed("delete", "", &id)).await?;
    let _turn = api.transfers.begin(&user)?;
    let begun = Instant::now();
    let mut is_begun = false;
    let purged = loop {
        match step(&api, &id).await {
            Ok(false) if begun.elapsed() < PURGE => is_begun = true,
            purged => break purged,
        }
    };
    if is_begun || purged.is_ok() {
        let what = match purged {
            Ok(true) => "removed all data",
            Ok(false) | Err(_) => "removed a part of the data",
        };
        api.audit
            .tell(about_orphan(&id), &user, Reason::Purged, what);
    }
    let (code, message) = match purged {
        Ok(true) => (StatusCode::OK, "no data is left"),
        Ok(false) => (
            StatusCode::ACCEPTED,
            "a part of the data is removed; ask again",
        ),
        Err(failure) if is_begun => return Err(failure.after("a part of the data is removed")),
        Err(failure) => return Err(failure),
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "message": message, "code": code.as_u16(),
    });
    Ok((code, Json(status)).into_response())
}

/// Removes a part; whether all is gone. Data that was given to a Store since the last part is not touched.
async fn step(api: &Api, id: &str) -> Result<bool, Failure> {
    no_store_has(api, id).await?;
    api.pod.purge(id).await
}

pub(super) fn deed<'a>(verb: &'a str, subresource: &'a str, name: &'a str) -> Deed<'a> {
    Deed {
        verb,
        group: RUNTIME_GROUP,
        resource: "storeorphans",
        subresource,
        namespace: "",
        name,
    }
}

/// Asks the API server, since what is removed does not come back: neither a watch nor the store pod may have
/// heard of a Store yet.
pub(super) async fn no_store_has(api: &Api, id: &str) -> Result<(), Failure> {
    let stores: Objects<Store> = Objects::all(api.client.clone());
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = timely(stores.list(&page)).await?;
        let has = |store: &&Store| store.spec.id.as_deref() == Some(id);
        if let Some(store) = list.items.iter().find(has) {
            let name = store.metadata.name.as_deref().unwrap_or_default();
            let namespace = store.metadata.namespace.as_deref().unwrap_or_default();
            return Err(Failure::conflict(format!(
                "the data is no orphan: it is that of Store `{name}` in namespace `{namespace}`"
            )));
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

fn object(orphan: Orphan) -> StoreOrphan {
    let time = |seconds: i64| Timestamp::from_second(seconds).unwrap_or_default();
    StoreOrphan {
        api_version: format!("{RUNTIME_GROUP}/{RUNTIME_VERSION}"),
        kind: "StoreOrphan".to_owned(),
        metadata: ObjectMeta {
            name: Some(orphan.store_id),
            creation_timestamp: Some(Time(time(orphan.orphan_since))),
            ..ObjectMeta::default()
        },
        store: OrphanedStore {
            namespace: orphan.namespace,
            app: orphan.app,
            label: orphan.label,
            interface: Interface::parse(&orphan.interface).unwrap_or_default(),
            class_name: orphan.class,
        },
        status: StoreOrphanStatus {
            keys: orphan.keys,
            bytes: orphan.bytes,
            first_seen: time(orphan.first_seen).to_string(),
            orphan_since: time(orphan.orphan_since).to_string(),
        },
    }
}
