//! Data whose Store is gone.

use std::{collections::HashSet, time::Duration};

use shoal_protocol::v1;
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::unreadable;
use crate::{
    StoreId, Usage,
    housekeeping::{
        Entry, Housekeeping,
        duties::{BLOB, KEY_VALUE, SQL},
        purges::Refusal,
    },
};

/// Orphans of one page.
const PAGE: u32 = 500;
/// A class that does not count within this is not asked again for this page.
const COUNT: Duration = Duration::from_secs(2);
/// Of a page no more is counted after this: what each of many holds is not worth the list of them.
const COUNTS: Duration = Duration::from_secs(8);
/// A purge that takes longer than this has removed a part.
const PURGE: Duration = Duration::from_secs(10);

/// The orphans after an id, with what they hold, as far as their classes say.
pub(super) async fn list(
    of: &Housekeeping,
    after: StoreId,
    limit: u32,
) -> Result<v1::ListOrphansResponse, Status> {
    let limit = limit.clamp(1, PAGE);
    let found = of.catalog.clone().orphans_after(after, limit + 1).await;
    let mut found = found.map_err(|error| unreadable(&error))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let mut silent = HashSet::new();
    let mut orphans = Vec::with_capacity(found.len());
    let until = Instant::now() + COUNTS;
    for entry in found {
        let asked = is_known(&entry) && !silent.contains(&entry.class) && Instant::now() < until;
        let usage = match asked {
            true => count(of, &entry).await,
            false => None,
        };
        if asked && usage.is_none() {
            silent.insert(entry.class.clone());
        }
        orphans.push(orphan(entry, usage));
    }
    Ok(v1::ListOrphansResponse { orphans, more })
}

/// The orphan of this id, if it is one.
pub(super) async fn one(
    of: &Housekeeping,
    store: StoreId,
) -> Result<v1::ListOrphansResponse, Status> {
    let entry = of.catalog.clone().entry(store).await;
    let entry = entry.map_err(|error| unreadable(&error))?;
    let mut orphans = Vec::new();
    if let Some(entry) = entry.filter(|entry| entry.orphan_since.is_some()) {
        let usage = count(of, &entry).await;
        orphans.push(orphan(entry, usage));
    }
    let more = false;
    Ok(v1::ListOrphansResponse { orphans, more })
}

async fn count(of: &Housekeeping, entry: &Entry) -> Option<Usage> {
    if !is_known(entry) {
        return None;
    }
    let backend = of.classes.lock().usable(&entry.class).ok()?;
    timeout(COUNT, backend.usage(entry.store)).await.ok()?.ok()
}

/// Whether it is data that can be counted and removed by the Store's id.
fn is_known(entry: &Entry) -> bool {
    [KEY_VALUE, SQL, BLOB].contains(&&*entry.interface)
}

fn orphan(entry: Entry, usage: Option<Usage>) -> v1::Orphan {
    v1::Orphan {
        store_id: entry.store.to_string(),
        class: entry.class,
        interface: entry.interface,
        namespace: entry.namespace,
        app: entry.app,
        label: entry.label,
        first_seen: entry.first_seen,
        last_seen: entry.last_seen,
        orphan_since: entry.orphan_since.unwrap_or_default(),
        keys: usage.map(|usage| usage.keys),
        bytes: usage.map(|usage| usage.bytes),
    }
}

/// Removes the data of an orphan, or a part of it.
pub(super) async fn purge(
    of: &Housekeeping,
    store: StoreId,
) -> Result<v1::PurgeOrphanResponse, Status> {
    let entry = of.catalog.clone().entry(store).await;
    let Some(entry) = entry.map_err(|error| unreadable(&error))? else {
        return Err(Status::not_found(format!(
            "no data of a Store `{store}` is remembered"
        )));
    };
    if entry.orphan_since.is_none() || of.duties.lock().has(store) {
        return Err(Status::failed_precondition(format!(
            "a Store of namespace `{}` has the id `{store}`: its data goes with it, see its \
             `spec.reclaimPolicy`",
            entry.namespace
        )));
    }
    if !is_known(&entry) {
        return Err(Status::failed_precondition(format!(
            "the data is of interface `{}`, which this version does not remove",
            entry.interface
        )));
    }
    match timeout(PURGE, of.purges.try_purge(of, store, &entry.class)).await {
        Err(_) => Ok(v1::PurgeOrphanResponse { done: false }),
        Ok(Ok(())) => {
            tracing::info!(%store, class = entry.class, "the data of an orphan was removed");
            of.purges.count();
            of.catalog.clone().forget(store).await;
            Ok(v1::PurgeOrphanResponse { done: true })
        }
        Ok(Err(Refusal::InUse(why))) => Err(Status::failed_precondition(why)),
        Ok(Err(Refusal::Failed(why))) => Err(Status::unavailable(why)),
    }
}
