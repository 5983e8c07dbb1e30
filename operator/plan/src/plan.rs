//! The planner: what is to be done for one App, or one StoreClass.

mod gone;
mod nodes;
mod service;
mod tell;

use nodes::Placed;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use shoal_crds::{App, Condition, ConditionType};

use crate::{
    AppKey, Index, Label, class,
    configuration::{self, Configured},
    endpoint::decide,
    image::{self, Images},
    index::{AppEntry, Memory, Refusable},
    output::Plan,
    revision::{Content, images_of, to_record},
    slice,
    status::{self, Facts},
    store::{self, Binding, BoundStore},
};

/// Plans one App, or the StoreClass that a key without a namespace names. Of an App: resolve, build, bind, place, assign, program, tell. Decisions that must be remembered (its port,
/// its nodes, timers) are, in the index.
pub fn plan(index: &mut Index, key: &AppKey, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if key.is_cluster_wide() {
        class::plan(index, &key.name, now, &mut plan);
        return plan;
    }
    if index.unreadable.contains(key) {
        return plan;
    }
    let referred = index.apps.get(key).and_then(|entry| entry.app.as_deref());
    let referred = referred.map(|app| configuration::referred(key, &app.spec));
    index.values.refer(key, referred.unwrap_or_default());
    let Some(mut entry) = index.apps.remove(key) else {
        gone::plan(index, key, None, now, &mut plan);
        return plan;
    };
    gone::bury_former(index, key, &mut entry, now, &mut plan);
    match entry
        .app
        .clone()
        .filter(|app| app.metadata.deletion_timestamp.is_none())
    {
        Some(app) => {
            Planner {
                index,
                key,
                app,
                now,
            }
            .run(&mut entry, &mut plan);
            index.apps.insert(key.clone(), entry);
        }
        None => gone::plan(index, key, Some(entry), now, &mut plan),
    }
    plan
}

pub(crate) struct Planner<'a> {
    pub(crate) index: &'a mut Index,
    pub(crate) key: &'a AppKey,
    pub(crate) app: Arc<App>,
    pub(crate) now: Timestamp,
}

impl Planner<'_> {
    fn run(mut self, entry: &mut AppEntry, plan: &mut Plan) {
        let generation = self.app.metadata.generation.unwrap_or_default();
        entry.rejections.forget_other_generations(generation);
        let images = image::look(self.index, self.key, &self.app, entry, self.now, plan);
        let builds = images.builds.clone();
        self.index.builds.watch(self.key, &entry.builds, &builds);
        entry.builds = builds;
        self.forget_images(entry);

        let rejected = entry.rejections.get(Refusable::Store).cloned();
        let binding = images.wanted.as_deref().map(|c| {
            let binding = store::bind(self.index, self.key, &self.app.spec, c, plan);
            let binding = binding.unless(rejected.as_ref(), self.now, plan);
            binding.with_built_in(self.index, self.said(ConditionType::StoresBound))
        });
        let bound = binding
            .as_ref()
            .and_then(|binding| binding.verdict.as_ref());
        if bound.is_some_and(|verdict| !verdict.failed()) {
            entry.rejections.forget(Refusable::Store);
        }
        let configured = images
            .wanted
            .as_deref()
            .map(|content| self.configure(content));
        let content = self.content_to_run(entry, &images, binding.as_ref(), configured.as_ref());
        let mut running = content
            .as_deref()
            .map(|content| self.stores_of(content, &images, binding.as_ref()))
            .unwrap_or_default();

        let port = self.port(plan);
        let known_port = port.as_ref().ok().copied();
        let service = self.service(entry, known_port, plan);
        let memory = &mut entry.memory;
        if service.ours().is_some() || service.is_taken() {
            let current = service.ours().and_then(|ours| ours.metadata.uid.as_deref());
            gone::collect_orphans(self.index, self.key, current, memory, self.now, plan);
        }
        let placed = self.place(memory, content.is_some(), service.is_taken(), plan);
        let views = self.views(&placed, memory, service.ours());
        let decisions = decide(
            &views,
            &mut memory.drains,
            &mut memory.flaps,
            self.now,
            plan,
        );
        let waits = self.waits_for_others(&views, memory, plan);
        let mut slice_fault = None;
        if let (Some(ours), Some(port), false) = (service.ours(), known_port, waits) {
            slice_fault = self.program(ours, port, &decisions, &mut entry.rejections, plan);
        }
        let used = binding.as_ref().filter(|binding| binding.verdict.is_some());
        if let Some(used) = used {
            self.index.use_stores(self.key, Some(used.keys(self.key)));
        }
        self.share_out(&mut running, &placed);
        let settings = content.as_deref().and_then(|running| {
            let configured = match &configured {
                Some(known) if images.wanted.as_deref() == Some(running) => known,
                _ => &self.configure(running),
            };
            configuration::to_run_with(configured, running, memory)
        });
        let made_of = content.as_deref().zip(settings.as_deref());
        let assignment = made_of.and_then(|(content, settings)| {
            self.assignment(content, &running, settings, known_port)
        });
        self.tell(
            assignment.as_ref(),
            content.as_deref(),
            &decisions,
            memory,
            plan,
        );

        store::report(self.index, self.key, true, used.is_some(), self.now, plan);
        let wanted = images.wanted.as_deref();
        let is_wanted = wanted.is_some() && wanted == content.as_deref();
        let facts = Facts {
            key: self.key,
            app: &self.app,
            now: self.now,
            resolved: images.resolved.clone(),
            built: images.built.clone(),
            bound: match &binding {
                Some(binding) => binding.verdict.clone(),
                None => store::unprovided(self.index, &images),
            },
            configured: configured.as_ref().and_then(Configured::fault),
            service_fault: service.fault().cloned().or(slice_fault),
            port_fault: port.err().flatten(),
            image: wanted
                .or(content.as_deref())
                .map(|content| to_record(&content.images)),
            revision: wanted.map(|content| content.revision.clone()),
            running: content.as_deref().map(|content| content.revision.clone()),
            stores: used.map(store::Binding::entries),
            port: known_port,
            has_service: service.ours().is_some(),
            eligible: placed.eligible,
            unsettled_until: placed.unsettled_until,
            nodes: self.node_facts(&placed, assignment.as_ref(), content.as_deref(), is_wanted),
            ready_nodes: self.ready_nodes(&views, &decisions),
            serving: self.serving(&views),
        };
        let status = status::assemble(&facts);
        status::write(&facts, status, memory, plan);
        let nodes = placed.nodes();
        self.remember(memory, content, nodes);
        // The most urgent first; writes of one urgency stay in order.
        plan.writes.sort_by_key(|write| write.priority);
    }

    /// What was written.
    fn said(&self, type_: ConditionType) -> Option<&Condition> {
        let conditions = &self.app.status.as_ref()?.conditions;
        conditions.iter().find(|one| one.type_ == type_.as_str())
    }

    /// Stores of what runs. What runs may be older than what the spec asks for: then nothing is made for it.
    fn stores_of(
        &self,
        content: &Content,
        images: &Images,
        binding: Option<&Binding>,
    ) -> BTreeMap<Label, BoundStore> {
        match binding {
            Some(binding) if images.wanted.as_deref() == Some(content) => binding.stores.clone(),
            _ => {
                let unwritten = &mut Plan::default();
                let spec = &self.app.spec;
                store::bind(self.index, self.key, spec, content, unwritten).stores
            }
        }
    }

    /// Says of Stores whose class limits operations on how many nodes they are used: those of this App and of all that
    /// share them.
    fn share_out(&self, stores: &mut BTreeMap<Label, BoundStore>, placed: &Placed) {
        let limited = stores
            .values_mut()
            .filter(|store| self.index.classes.limits_operations(&store.class_name));
        for store in limited {
            let mut nodes: BTreeSet<&String> = placed.pods.keys().collect();
            for app in self.index.sharing.using(&self.key.sibling(&store.name)) {
                if app != self.key {
                    nodes.extend(self.index.placements.of(app).into_iter().flatten());
                }
            }
            store.nodes = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        }
    }

    fn configure(&self, content: &Content) -> Configured {
        configuration::configure(self.index, self.key, &self.app.spec, content)
    }

    /// Answers about images that the spec does not name any more.
    fn forget_images(&self, entry: &mut AppEntry) {
        let named = images_of(&self.app.spec);
        entry
            .images
            .retain(|image, _| named.contains(&image.as_str()));
    }

    fn remember(
        &mut self,
        memory: &mut Memory,
        content: Option<Arc<Content>>,
        placed: BTreeSet<String>,
    ) {
        memory.planned = true;
        if content.is_some() {
            memory.content = content;
        }
        let wanted = usize::try_from(self.app.spec.replicas).unwrap_or(0);
        self.index
            .placements
            .set_hungry(self.key, placed.len() < wanted);
        if self.index.placements.of(self.key) != Some(&placed) {
            self.index.touch_sharers_of(self.key);
        }
        self.index.placements.set(self.key, placed);
    }
}

/// Our slices of this very Service.
pub(crate) fn own_slices(
    index: &Index,
    key: &AppKey,
    service: &k8s_openapi::api::core::v1::Service,
) -> Vec<Arc<k8s_openapi::api::discovery::v1::EndpointSlice>> {
    index
        .slices
        .ours(key)
        .filter(|slice| slice::is_of(slice, service.metadata.uid.as_deref()))
        .cloned()
        .collect()
}
