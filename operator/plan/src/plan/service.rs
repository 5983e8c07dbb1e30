//! The App's port, its Service, and what the Service's slices hold.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Service;
use shoal_crds::Reason;

use super::{Planner, own_slices};
use crate::{
    AppEvent, EventType, Priority, WriteAction,
    endpoint::{Decision, PodView},
    index::{AppEntry, Memory, Refusable, Rejections, ReportState, ServiceEntry, SliceEntry},
    output::Plan,
    port::Allocation,
    service,
    slice::{self, BUILT_IN_MANAGERS, PodEndpoint},
    status::Verdict,
};

/// How long the first endpoint of an App waits for others.
const OTHERS_WITHIN: SignedDuration = SignedDuration::from_millis(100);

/// The App's Service, as the planner found it.
pub(super) struct ServiceView {
    ours: Option<Arc<Service>>,
    fault: Option<Verdict>,
    taken: bool,
}

impl ServiceView {
    /// The Service, if it is the App's and is there to stay.
    pub(super) fn ours(&self) -> Option<&Service> {
        self.ours.as_deref()
    }

    /// Why endpoints have no Service to be of, or not the one that is wanted.
    pub(super) fn fault(&self) -> Option<&Verdict> {
        self.fault.as_ref()
    }

    /// Someone else has the name.
    pub(super) fn is_taken(&self) -> bool {
        self.taken
    }

    fn waiting(text: &str) -> Self {
        let fault = Verdict::fails(Reason::Progressing, text.to_owned()).retried();
        Self {
            ours: None,
            fault: Some(fault),
            taken: false,
        }
    }
}

impl Planner<'_> {
    /// The App's port. `Err`: none yet, and why if that is worth telling.
    pub(super) fn port(&mut self, plan: &mut Plan) -> Result<u16, Option<Verdict>> {
        let holder = crate::index::holder(self.key, &self.app);
        match self.index.ports.allocate(holder, self.now) {
            Allocation::Port(port) => Ok(port),
            Allocation::Reserving => Err(None),
            Allocation::Exhausted(until) => {
                let again = self.now + SignedDuration::from_mins(1);
                plan.recheck(until.unwrap_or(again).min(again));
                let text =
                    "every port of the pool is in use, or rests for ten minutes after its last use";
                Err(Some(
                    Verdict::fails(Reason::NoFreePort, text.to_owned()).retried(),
                ))
            }
        }
    }

    /// Finds, makes or mends the App's Service.
    pub(super) fn service(
        &mut self,
        entry: &mut AppEntry,
        port: Option<u16>,
        plan: &mut Plan,
    ) -> ServiceView {
        let desired = port.map(|port| service::desired(self.key, &self.app, port));
        match self.index.services.get(self.key) {
            None => {
                let fault = desired.and_then(|desired| self.create(desired, entry, plan));
                ServiceView {
                    ours: None,
                    fault,
                    taken: false,
                }
            }
            Some(ServiceEntry::OfApp { owner, .. })
                if Some(owner) != self.app.metadata.uid.as_ref() =>
            {
                ServiceView::waiting("the Service of an earlier App of this name is still there")
            }
            Some(ServiceEntry::OfApp { service, .. })
                if service.metadata.deletion_timestamp.is_some() =>
            {
                ServiceView::waiting("the Service is being deleted; it is made again then")
            }
            Some(ServiceEntry::OfApp { service, .. }) => {
                let service = Arc::clone(service);
                let fault = desired.and_then(|desired| self.mend(&desired, &service, entry, plan));
                ServiceView {
                    ours: Some(service),
                    fault,
                    taken: false,
                }
            }
            Some(ServiceEntry::Foreign { controller, .. }) => {
                let text = taken(&self.key.name, controller.as_deref());
                let fault = Some(Verdict::fails(Reason::ServiceNameTaken, text));
                ServiceView {
                    ours: None,
                    fault,
                    taken: true,
                }
            }
        }
    }

    fn create(&self, desired: Service, entry: &mut AppEntry, plan: &mut Plan) -> Option<Verdict> {
        if self.index.namespaces.is_terminating(&self.key.namespace) {
            return None;
        }
        let rejected = self.rejected(entry, plan);
        if rejected.as_ref().is_none_or(|(_, again)| *again) {
            plan.writes
                .push(WriteAction::CreateService(Box::new(desired)).at(Priority::Add));
        }
        rejected.map(|(verdict, _)| verdict)
    }

    fn mend(
        &self,
        desired: &Service,
        found: &Service,
        entry: &mut AppEntry,
        plan: &mut Plan,
    ) -> Option<Verdict> {
        let has_selector = service::has_selector(found);
        if !has_selector {
            self.clean_up(plan);
        }
        let Some(patch) = service::patch(desired, found) else {
            entry.rejections.forget(Refusable::Service);
            return None;
        };
        let rejected = self.rejected(entry, plan);
        if rejected.as_ref().is_none_or(|(_, again)| *again) {
            let priority = if has_selector {
                Priority::Remove
            } else {
                Priority::Add
            };
            plan.writes.push(
                WriteAction::PatchService {
                    key: self.key.clone(),
                    patch,
                }
                .at(priority),
            );
        }
        if has_selector {
            plan.events.push(selector_removed(&self.key.name));
        }
        rejected.map(|(verdict, _)| verdict)
    }

    /// Why the API server refused the Service, and whether to try again now.
    fn rejected(&self, entry: &AppEntry, plan: &mut Plan) -> Option<(Verdict, bool)> {
        let rejection = entry.rejections.get(Refusable::Service)?;
        let again = rejection.retry_at <= self.now;
        if !again {
            plan.recheck(rejection.retry_at);
        }
        let verdict = Verdict::fails(Reason::ServiceRejected, rejection.message.clone()).retried();
        Some((verdict, again))
    }

    /// Removes what Kubernetes' own controllers leave behind when a selector is taken away again.
    fn clean_up(&self, plan: &mut Plan) {
        let left: Vec<_> = self
            .index
            .slices
            .of_service(self.key)
            .filter_map(|(key, entry)| match entry {
                SliceEntry::Foreign { manager, uid }
                    if BUILT_IN_MANAGERS.contains(&manager.as_str()) =>
                {
                    Some(WriteAction::DeleteSlice {
                        key: key.clone(),
                        uid: uid.clone(),
                    })
                }
                _ => None,
            })
            .collect();
        if left.is_empty() {
            return;
        }
        // First, or it is mirrored into new ones.
        let endpoints = WriteAction::DeleteEndpoints {
            key: self.key.clone(),
        };
        plan.writes.push(endpoints.at(Priority::Remove));
        plan.writes
            .extend(left.into_iter().map(|action| action.at(Priority::Remove)));
    }

    /// Whether the first endpoint waits a moment for those of the other nodes, which are about to answer: one write
    /// then tells of all.
    pub(super) fn waits_for_others(
        &self,
        views: &[PodView],
        memory: &mut Memory,
        plan: &mut Plan,
    ) -> bool {
        let failed = |view: &PodView| {
            self.report(&view.uid)
                .is_some_and(|report| report.state == ReportState::Failed)
        };
        let is_first = views.iter().all(|view| view.shown.is_none());
        let mut chosen = views.iter().filter(|view| view.chosen);
        let answers = chosen.clone().any(|view| view.answers);
        let pending = chosen.any(|view| !view.answers && !failed(view));
        if !(is_first && answers && pending) {
            memory.first_answer_at = None;
            return false;
        }
        let until = *memory.first_answer_at.get_or_insert(self.now) + OTHERS_WITHIN;
        if self.now < until {
            plan.recheck(until);
        }
        self.now < until
    }

    /// Writes the slices that are not as `decisions` say. Returns why the API server refused that, if it did.
    pub(super) fn program(
        &self,
        ours: &Service,
        port: u16,
        decisions: &BTreeMap<Arc<str>, Decision>,
        rejections: &mut Rejections,
        plan: &mut Plan,
    ) -> Option<Verdict> {
        let publish = ours
            .spec
            .as_ref()
            .and_then(|spec| spec.publish_not_ready_addresses);
        let endpoint = |uid: &Arc<str>, decision: &Decision| {
            let pod = self.index.runtimes.pod(uid).cloned();
            let node = pod.as_ref().and_then(|pod| self.index.nodes.get(&pod.node));
            let zone = node.and_then(|node| node.zone()).map(str::to_owned);
            let publish_not_ready = publish.unwrap_or(false);
            Some(PodEndpoint {
                pod,
                zone,
                wanted: decision.endpoint?,
                publish_not_ready,
            })
        };
        let wanted: BTreeMap<Arc<str>, PodEndpoint> = decisions
            .iter()
            .filter_map(|(uid, decision)| Some((Arc::clone(uid), endpoint(uid, decision)?)))
            .collect();
        let found = own_slices(self.index, self.key, ours);
        let taken = |key: &crate::ObjectKey| self.index.slices.exists(key);
        let mut writes = slice::diff(ours, port, &wanted, &found, taken, self.now);
        if self.index.namespaces.is_terminating(&self.key.namespace) {
            writes.retain(|write| !matches!(write.action, WriteAction::CreateSlice(_)));
        }
        if writes.is_empty() {
            rejections.forget(Refusable::Slice);
            return None;
        }
        let rejection = rejections.get(Refusable::Slice);
        if let Some(rejection) = rejection.filter(|one| one.retry_at > self.now) {
            plan.recheck(rejection.retry_at);
            // What does not answer is to leave whatever became of the rest.
            writes.retain(|write| write.priority == Priority::Remove);
        }
        plan.writes.extend(writes);
        let text = |why: &str| format!("the API server refused an EndpointSlice: {why}");
        rejection.map(|one| Verdict::fails(Reason::EndpointsRejected, text(&one.message)).retried())
    }
}

fn taken(name: &str, controller: Option<&str>) -> String {
    let whose = controller.map_or_else(String::new, |owner| {
        format!(" (it is controlled by {owner})")
    });
    format!(
        "a Service `{name}` exists and is not this App's{whose}; it was left as it is: rename one of them"
    )
}

fn selector_removed(name: &str) -> AppEvent {
    AppEvent {
        type_: EventType::Warning,
        reason: Reason::SelectorRemoved.as_str().to_owned(),
        message: format!(
            "Service `{name}` had a selector; it was removed: the endpoints of an App are its own"
        ),
    }
}
