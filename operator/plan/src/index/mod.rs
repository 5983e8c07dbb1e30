//! All that is known of the world, with what is needed to find the Apps that a change touches.
//!
//! Every entry point marks those Apps dirty. The cost of a change does not grow with the number of Apps, but for
//! changes that concern all of them (a new engine, a new leader).

mod apps;
mod builds;
mod classes;
mod fleet;
mod housekeeping;
mod memory;
mod namespaces;
mod nodes;
mod placements;
mod places;
mod pods;
mod rejections;
mod report;
mod runtimes;
mod services;
mod sharing;
mod slices;
mod standing;
mod store_volume;
mod stores;
mod unreadable;
mod values;
mod version;
mod watched;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    AppKey, AppRef, Instruction, NodeAssignments, PodGrants, PortRecord,
    output::Dirty,
    port::{Holder, PortAllocator},
};

pub(crate) use apps::{AppEntry, holder};
pub use builds::Built;
pub(crate) use builds::{Again, Answer, Build, BuildKey, Builds, Refused};
pub(crate) use classes::{BuiltIn, Classes, Health};
pub use classes::{ClassHealth, CredentialFault};
pub(crate) use fleet::{Fleet, FleetNode};
pub(crate) use housekeeping::{Housekeeping, Purge};
pub use housekeeping::{StoreDuty, StoreUsage};
pub(crate) use memory::{Drain, Memory};
pub(crate) use nodes::NodeFacts;
pub(crate) use placements::Placements;
pub use pods::RuntimePod;
pub(crate) use rejections::{Refusable, Rejection, Rejections};
pub use report::{AppReport, Hello, ReportState};
pub(crate) use runtimes::Runtimes;
pub(crate) use services::ServiceEntry;
pub(crate) use slices::{SliceEntry, Slices};
pub(crate) use standing::Standing;
pub use store_volume::STORE_CLAIM;
pub(crate) use stores::Stores;
pub(crate) use values::ValueSources;
pub use values::{SourceRead, SourceRef};
pub use watched::Watched;

/// The operator's view of the world, and what it decided for each App.
#[derive(Debug)]
pub struct Index {
    pub(crate) apps: BTreeMap<AppKey, AppEntry>,
    pub(crate) unreadable: unreadable::Unreadable,
    pub(crate) services: services::Services,
    pub(crate) slices: Slices,
    pub(crate) stores: Stores,
    pub(crate) store_volume: store_volume::StoreVolume,
    pub(crate) sharing: sharing::Sharing,
    pub(crate) classes: Classes,
    pub(crate) values: ValueSources,
    pub(crate) nodes: BTreeMap<String, NodeFacts>,
    pub(crate) namespaces: namespaces::Namespaces,
    pub(crate) runtimes: Runtimes,
    pub(crate) builds: Builds,
    pub(crate) placements: Placements,
    pub(crate) ports: PortAllocator,
    pub(crate) housekeeping: Housekeeping,
    fleet: Option<Arc<Fleet>>,
    registries: shoal_crds::Registries,
    leading: bool,
    dirty: Dirty,
}

impl Index {
    /// An index that knows nothing yet. `started`: when this process began to listen for runtimes; those that are
    /// not heard yet stay as they are until something speaks against them.
    pub fn new(started: Timestamp) -> Self {
        Self {
            apps: BTreeMap::new(),
            unreadable: unreadable::Unreadable::default(),
            services: services::Services::default(),
            slices: Slices::default(),
            stores: Stores::default(),
            store_volume: store_volume::StoreVolume::default(),
            sharing: sharing::Sharing::default(),
            classes: Classes::default(),
            values: ValueSources::default(),
            nodes: BTreeMap::new(),
            namespaces: namespaces::Namespaces::default(),
            runtimes: Runtimes::new(started),
            builds: Builds::default(),
            placements: Placements::default(),
            ports: PortAllocator::default(),
            housekeeping: Housekeeping::default(),
            fleet: None,
            registries: shoal_crds::Registries::default(),
            leading: false,
            dirty: Dirty::new(),
        }
    }

    /// This replica leads from now on: `record` is what the ConfigMap of [`crate::PORT_RECORD_NAME`] holds.
    /// Forgets what it decided when it led before; every App is to be planned.
    pub fn lead(&mut self, record: &PortRecord, now: Timestamp) {
        self.leading = true;
        self.forget_decisions();
        self.housekeeping.lead();
        self.ports = PortAllocator::recorded(&record.blocks, now);
        let claims: Vec<(Holder, u16)> = self
            .apps
            .iter()
            .filter_map(|(key, entry)| {
                let app = entry.app.as_deref()?;
                Some((holder(key, app), self.recorded_port(key, app)?))
            })
            .chain(self.ports_of_unreadable())
            .collect();
        for (holder, port) in claims {
            self.ports.claim(port, holder, now);
        }
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        self.dirty.extend(keys);
        // What runs or stands in slices although its App is gone is to be cleaned up as well.
        self.dirty.extend(self.runtimes.reported_apps());
        self.dirty.extend(self.slices.services());
        self.dirty.extend(self.stores.apps());
        self.touch_classes();
    }

    /// This replica does not lead any more (or not yet): its decisions count no longer.
    pub fn resign(&mut self) {
        self.leading = false;
        self.forget_decisions();
        self.housekeeping.lead();
        self.ports = PortAllocator::default();
    }

    /// Apps and StoreClasses that were touched since the last call, ready to be planned.
    pub fn take_dirty(&mut self) -> Vec<AppKey> {
        std::mem::take(&mut self.dirty).into_iter().collect()
    }

    /// Marks an App or a StoreClass to be planned again.
    pub fn touch(&mut self, app: &AppKey) {
        self.dirty.insert(app.clone());
    }

    /// What the ConfigMap of [`crate::PORT_RECORD_NAME`] is to hold, if it does not. Apps wait for it.
    pub fn ports_to_reserve(&mut self, now: Timestamp) -> Option<PortRecord> {
        Some(PortRecord {
            blocks: self.ports.unrecorded(now)?,
        })
    }

    /// The ConfigMap of [`crate::PORT_RECORD_NAME`] holds this now.
    pub fn ports_reserved(&mut self, record: &PortRecord) {
        let waited = self.ports.confirm(&record.blocks);
        self.dirty.extend(waited);
    }

    /// How registries are spoken to, of the pool `default`.
    pub fn registries(&self) -> &shoal_crds::Registries {
        &self.registries
    }

    /// All that a pod is to run. To be asked for once the pod has sent its first full report and the Apps that
    /// were dirty are planned; an App that is not planned yet is left as it is.
    pub fn node_assignments(&self, pod: &str) -> NodeAssignments {
        let mut all = NodeAssignments::default();
        let mut keys = self.runtimes.apps_reported_by(pod);
        keys.extend(self.placements.told(pod));
        keys.extend(self.slices.services_naming(pod));
        for key in keys {
            all.keep.extend(self.unreadable.app_ref(&key));
            let Some(entry) = self.apps.get(&key) else {
                continue;
            };
            let Some(app) = entry.app.as_deref() else {
                continue;
            };
            let keep = || AppRef::new(&key, app.metadata.uid.as_deref().unwrap_or_default());
            match entry.memory.instructions.get(pod) {
                Some(Instruction::Assign(assignment)) => all.set.push(Arc::clone(assignment)),
                Some(Instruction::Keep) => all.keep.push(keep()),
                Some(Instruction::Stop) => {}
                None if !entry.memory.planned => all.keep.push(keep()),
                None => {}
            }
        }
        all
    }

    /// What a pod may open in the store pod, and fetch.
    pub fn pod_grants(&self, pod: &str) -> PodGrants {
        let mut grants = PodGrants::default();
        self.each_store_of(pod, |id, class| {
            let ids = if self.classes.is_in_store_pod(class) {
                &mut grants.store_ids
            } else {
                &mut grants.held_store_ids
            };
            ids.insert(id.to_owned());
        });
        for key in self.apps_told(pod) {
            let entry = self.apps.get(&key).filter(|entry| entry.app.is_some());
            if let Some(Instruction::Assign(assignment)) =
                entry.and_then(|entry| entry.memory.instructions.get(pod))
            {
                let components = assignment.components.iter();
                grants
                    .digests
                    .extend(components.map(|component| component.digest.clone()));
            }
        }
        grants
    }

    /// Apps that a pod is given something for. What the pod itself says is no reason to give it anything.
    fn apps_told(&self, pod: &str) -> BTreeSet<AppKey> {
        let mut keys = self.placements.told(pod);
        keys.extend(self.slices.services_naming(pod));
        keys
    }

    /// Whether a pod was told to run this very App.
    pub fn has_been_told(&self, pod: &str, app: &AppRef) -> bool {
        let key = app.key();
        let entry = self.apps.get(&key).and_then(|entry| entry.app.as_deref());
        entry.is_some_and(|found| found.metadata.uid.as_deref() == Some(&app.uid))
            && self.apps_told(pod).contains(&key)
    }

    /// What every runtime pod may open and fetch, by pod uid.
    pub fn grants(&self) -> BTreeMap<Arc<str>, PodGrants> {
        self.runtimes
            .pod_uids()
            .map(|pod| (Arc::clone(pod), self.pod_grants(pod)))
            .collect()
    }

    /// Whether no slice names this pod any more: the answer to a runtime that is draining.
    pub fn is_drained(&self, pod: &str) -> bool {
        !self.slices.name_pod(pod)
    }

    fn forget_decisions(&mut self) {
        self.apps.retain(|_, entry| entry.app.is_some());
        for entry in self.apps.values_mut() {
            entry.memory = Memory::default();
            entry.former.clear();
        }
        self.placements = Placements::default();
        self.sharing.forget_uses();
        self.classes.forget_built_in();
        self.values.forget();
        for app in self.known_apps() {
            self.place_as_sliced(&app);
        }
    }
}
