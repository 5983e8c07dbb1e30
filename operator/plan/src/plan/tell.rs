//! What runs, and what pods are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use shoal_crds::ConditionStatus;

use super::Planner;
use crate::{
    AppRef, Assignment, Instruction, Label, Limits, PodInstruction, Role,
    configuration::{Configured, Settings},
    endpoint::{Decision, PodRole},
    image::Images,
    index::{AppEntry, Memory},
    output::Plan,
    revision::Content,
    store::{Binding, BoundStore},
};

impl Planner<'_> {
    /// What the spec asks for, once all of it is there; until then what ran before.
    pub(super) fn content_to_run(
        &self,
        entry: &AppEntry,
        images: &Images,
        binding: Option<&Binding>,
        configured: Option<&Configured>,
    ) -> Option<Arc<Content>> {
        let verdict = binding.and_then(|binding| binding.verdict.as_ref());
        let bound = verdict.is_some_and(|verdict| verdict.status == ConditionStatus::True);
        let settings = configured.and_then(Configured::settings);
        match (&images.wanted, settings) {
            (Some(wanted), Some(_)) if bound => Some(Arc::clone(wanted)),
            _ => entry
                .memory
                .content
                .clone()
                .or_else(|| images.former.clone()),
        }
    }

    /// The assignment of nodes that serve; `None`: what it is made of is not known.
    pub(super) fn assignment(
        &self,
        content: &Content,
        stores: &BTreeMap<Label, BoundStore>,
        settings: &Settings,
        port: Option<u16>,
    ) -> Option<Assignment> {
        let assignment = Assignment {
            app: AppRef::new(
                self.key,
                self.app.metadata.uid.as_deref().unwrap_or_default(),
            ),
            revision: content.revision.clone(),
            generation: String::new(),
            port: port?,
            components: content.bind(settings, stores)?,
            limits: Limits::of(self.app.spec.limits.as_ref()),
            role: Role::Serve,
        };
        Some(assignment.sealed())
    }

    /// Adds to the plan what pods are told, and remembers it.
    pub(super) fn tell(
        &mut self,
        assignment: Option<&Assignment>,
        content: Option<&Content>,
        decisions: &BTreeMap<Arc<str>, Decision>,
        memory: &mut Memory,
        plan: &mut Plan,
    ) {
        let app = AppRef::new(
            self.key,
            self.app.metadata.uid.as_deref().unwrap_or_default(),
        );
        let assigned = assignment.map(|serve| {
            let drain = serve.with_role(Role::Drain);
            (Arc::new(serve.clone()), Arc::new(drain))
        });
        let instruction = |pod: &Arc<str>, role: PodRole| {
            let engine = self.index.runtimes.engine_key(pod).unwrap_or_default();
            let built = content.is_some_and(|content| content.engine_keys.contains(engine));
            match (role, &assigned) {
                (PodRole::Runs(Role::Serve), Some((serve, _))) if built => {
                    Instruction::Assign(Arc::clone(serve))
                }
                (PodRole::Runs(Role::Drain), Some((_, drain))) if built => {
                    Instruction::Assign(Arc::clone(drain))
                }
                _ => Instruction::Keep,
            }
        };
        let now: BTreeMap<Arc<str>, Instruction> = decisions
            .iter()
            .filter_map(|(pod, decision)| Some((Arc::clone(pod), instruction(pod, decision.role?))))
            .collect();
        for pod in memory
            .instructions
            .keys()
            .chain(now.keys())
            .collect::<BTreeSet<_>>()
        {
            if memory.instructions.get(pod) != now.get(pod) {
                plan.grants_changed.insert(Arc::clone(pod));
            }
        }
        plan.instructions
            .extend(now.iter().map(|(pod, instruction)| PodInstruction {
                pod: Arc::clone(pod),
                app: app.clone(),
                instruction: instruction.clone(),
            }));
        self.stop(&app, memory, &now, plan);
        self.index
            .placements
            .tell(self.key, memory.instructions.keys(), now.keys());
        memory.instructions = now;
    }

    /// Pods that were told, or say that they have the App or an earlier one of its name, and are not to.
    fn stop(
        &self,
        app: &AppRef,
        memory: &Memory,
        now: &BTreeMap<Arc<str>, Instruction>,
        plan: &mut Plan,
    ) {
        let told = memory
            .instructions
            .keys()
            .map(|pod| (Arc::clone(pod), app.clone()));
        let reporting = self.index.runtimes.reporting(self.key).flat_map(|pod| {
            let apps = self.index.runtimes.reported_as(pod, self.key);
            apps.into_iter().map(move |app| (Arc::clone(pod), app))
        });
        let stale: BTreeSet<(Arc<str>, AppRef)> = told
            .chain(reporting)
            .filter(|(pod, found)| found != app || !now.contains_key(pod))
            .collect();
        for (pod, app) in stale {
            let stop = PodInstruction {
                pod,
                app,
                instruction: Instruction::Stop,
            };
            if !plan.instructions.contains(&stop) {
                plan.instructions.push(stop);
            }
        }
    }
}
