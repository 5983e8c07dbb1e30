//! What an App leaves behind.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::{
    AppKey, AppRef, Index, Instruction, PodInstruction,
    index::{AppEntry, Memory},
    output::Plan,
    slice, store,
};

/// How long garbage collection has to remove our slices after their App or Service. (With `--cascade=orphan` it never
/// does, and requests would go on being sent where they point.)
const COLLECTED_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Apps that had this name before: their ports rest, pods stop them.
pub(super) fn bury_former(
    index: &mut Index,
    key: &AppKey,
    entry: &mut AppEntry,
    now: Timestamp,
    plan: &mut Plan,
) {
    for former in std::mem::take(&mut entry.former) {
        index.ports.free(&former.uid, now);
        index
            .placements
            .tell(key, former.pods.iter(), std::iter::empty());
        for pod in former.pods {
            plan.grants_changed.insert(pod.clone());
            let app = AppRef::new(key, &former.uid);
            plan.instructions.push(PodInstruction {
                pod,
                app,
                instruction: Instruction::Stop,
            });
        }
    }
}

/// Plans an App that is gone, or going: `entry.app` is set while it still holds its port.
pub(super) fn plan(
    index: &mut Index,
    key: &AppKey,
    entry: Option<AppEntry>,
    now: Timestamp,
    plan: &mut Plan,
) {
    let mut entry = entry.unwrap_or_default();
    stop_everywhere(index, key, &mut entry, plan);
    index.placements.set(key, std::collections::BTreeSet::new());
    index.placements.set_hungry(key, false);
    index.builds.forget(key, &std::mem::take(&mut entry.builds));
    if entry.app.is_none() {
        index.use_stores(key, None);
        store::report(index, key, false, true, now, plan);
    }
    let collected = collect_slices(index, key, &mut entry, now, plan);
    if entry.app.is_some() || !collected {
        index.apps.insert(key.clone(), entry);
    }
}

fn stop_everywhere(index: &mut Index, key: &AppKey, entry: &mut AppEntry, plan: &mut Plan) {
    let told = std::mem::take(&mut entry.memory).instructions;
    entry.memory.planned = true;
    index.placements.tell(key, told.keys(), std::iter::empty());
    plan.grants_changed.extend(told.keys().cloned());
    let uid = entry
        .app
        .as_ref()
        .and_then(|app| app.metadata.uid.clone())
        .unwrap_or_default();
    for pod in told.into_keys() {
        let app = AppRef::new(key, &uid);
        plan.instructions.push(PodInstruction {
            pod,
            app,
            instruction: Instruction::Stop,
        });
    }
    for pod in index.runtimes.reporting(key) {
        for app in index.runtimes.reported_as(pod, key) {
            let stop = PodInstruction {
                pod: pod.clone(),
                app,
                instruction: Instruction::Stop,
            };
            if !plan.instructions.contains(&stop) {
                plan.instructions.push(stop);
            }
        }
    }
}

/// Removes our slices of Services that the App does not have any more, if nobody else does in time. `current`: uid of
/// the one that it has.
pub(super) fn collect_orphans(
    index: &Index,
    key: &AppKey,
    current: Option<&str>,
    memory: &mut Memory,
    now: Timestamp,
    plan: &mut Plan,
) {
    let orphan = |slice: &&Arc<EndpointSlice>| !slice::is_of(slice, current);
    let mut left = index.slices.ours(key).filter(orphan).peekable();
    if left.peek().is_none() {
        memory.orphans_since = None;
        return;
    }
    let until = *memory.orphans_since.get_or_insert(now) + COLLECTED_WITHIN;
    if now >= until {
        plan.writes.extend(left.map(|slice| slice::delete(slice)));
    } else {
        plan.recheck(until);
    }
}

/// Removes our slices if nobody else does in time. Returns whether they are gone.
fn collect_slices(
    index: &Index,
    key: &AppKey,
    entry: &mut AppEntry,
    now: Timestamp,
    plan: &mut Plan,
) -> bool {
    let mut left = index.slices.ours(key).peekable();
    if left.peek().is_none() {
        return true;
    }
    let until = *entry.gone_since.get_or_insert(now) + COLLECTED_WITHIN;
    if now >= until {
        plan.writes.extend(left.map(|slice| slice::delete(slice)));
    } else {
        plan.recheck(until);
    }
    false
}
