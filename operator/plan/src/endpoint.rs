//! What becomes of an App on each pod: its endpoint, and its role.
//!
//! A pod that the App leaves is left in steps, each of which waits until the slices show the one before: the
//! endpoint is shown as terminating, then it goes, then the port closes.

mod flaps;

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

pub(crate) use flaps::Flaps;

use crate::{
    Role,
    index::{Drain, Standing},
    output::Plan,
    slice::WantedEndpoint,
};

/// How long an endpoint is shown as terminating before it goes.
const TERMINATING_FOR: SignedDuration = SignedDuration::from_secs(5);
/// How long a port stays open after the endpoint is gone.
const OPEN_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// A pod, as one App sees it.
#[derive(Clone, Debug)]
pub(crate) struct PodView {
    /// Its uid.
    pub(crate) uid: Arc<str>,
    /// How it stands.
    pub(crate) standing: Standing,
    /// The App is placed on its node, and it is that node's runtime.
    pub(crate) chosen: bool,
    /// The App answers there, by whichever revision.
    pub(crate) answers: bool,
    /// Its endpoint in our slices of the Service.
    pub(crate) shown: Option<Shown>,
}

/// An endpoint, as our slices show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// It takes traffic.
    pub(crate) ready: bool,
    /// It is about to leave.
    pub(crate) terminating: bool,
}

/// What becomes of the App on a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Its endpoint; `None`: it has none.
    pub(crate) endpoint: Option<WantedEndpoint>,
    /// Its role; `None`: the pod has nothing to do with it.
    pub(crate) role: Option<PodRole>,
}

/// What a pod has to do with an App.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PodRole {
    /// As the assignment says.
    Runs(Role),
    /// Not heard yet: as it is.
    AsItIs,
}

/// Decides for every pod of one App. `drains`, `flaps`: what is remembered of its pods.
pub(crate) fn decide(
    views: &[PodView],
    drains: &mut BTreeMap<Arc<str>, Drain>,
    flaps: &mut BTreeMap<Arc<str>, Flaps>,
    now: Timestamp,
    plan: &mut Plan,
) -> BTreeMap<Arc<str>, Decision> {
    let is_there = |uid: &Arc<str>| {
        let mut views = views.iter();
        views.any(|view| view.uid == *uid && view.standing != Standing::Gone)
    };
    drains.retain(|uid, _| is_there(uid));
    flaps.retain(|uid, _| is_there(uid));
    let mut spare = spare(views);
    let mut decide_one = |view: &PodView| match view.standing {
        Standing::Gone => Decision::default(),
        Standing::Unheard(until) => {
            if let Some(until) = until {
                plan.recheck(until);
            }
            Decision {
                endpoint: view.shown.map(|_| WantedEndpoint::Keep),
                role: Some(PodRole::AsItIs),
            }
        }
        Standing::Serving if view.chosen => {
            drains.remove(&view.uid);
            Decision {
                endpoint: chosen(
                    view,
                    flaps.entry(Arc::clone(&view.uid)).or_default(),
                    now,
                    plan,
                ),
                role: Some(PodRole::Runs(Role::Serve)),
            }
        }
        Standing::Serving if stays_for_now(view) && spare == 0 => Decision {
            endpoint: Some(WantedEndpoint::Ready),
            role: Some(PodRole::Runs(Role::Serve)),
        },
        Standing::Serving | Standing::Leaving => {
            if view.standing == Standing::Serving && stays_for_now(view) {
                spare -= 1;
            }
            leave(
                view,
                drains.entry(Arc::clone(&view.uid)).or_default(),
                now,
                plan,
            )
        }
    };
    let decisions = views
        .iter()
        .map(|view| (Arc::clone(&view.uid), decide_one(view)))
        .collect();
    drains.retain(|_, drain| *drain != Drain::default());
    decisions
}

/// How many pods that still take traffic may be left: make before break.
fn spare(views: &[PodView]) -> usize {
    let wanted = views.iter().filter(|view| view.chosen).count();
    let ready = views
        .iter()
        .filter(|view| view.chosen && view.answers)
        .count();
    let staying = views
        .iter()
        .filter(|v| v.standing == Standing::Serving && stays_for_now(v))
        .count();
    (ready + staying).saturating_sub(wanted).min(staying)
}

/// A pod that the App need not leave before others took its place.
fn stays_for_now(view: &PodView) -> bool {
    !view.chosen && view.answers && view.shown.is_some_and(|shown| !shown.terminating)
}

fn chosen(
    view: &PodView,
    flaps: &mut Flaps,
    now: Timestamp,
    plan: &mut Plan,
) -> Option<WantedEndpoint> {
    match flaps.hear(view.answers, now) {
        Ok(true) => return Some(WantedEndpoint::Ready),
        Ok(false) => {}
        Err(later) => plan.recheck(later),
    }
    // It stays in the slice: its coming back is one write, not two.
    view.shown.map(|_| WantedEndpoint::NotReady)
}

fn leave(view: &PodView, drain: &mut Drain, now: Timestamp, plan: &mut Plan) -> Decision {
    let draining = Some(PodRole::Runs(Role::Drain));
    match view.shown {
        Some(_) if !view.answers => Decision {
            endpoint: None,
            role: None,
        },
        Some(shown) if !shown.terminating => Decision {
            endpoint: Some(WantedEndpoint::Draining),
            role: draining,
        },
        Some(_) => {
            let until = *drain.terminating_since.get_or_insert(now) + TERMINATING_FOR;
            if now >= until {
                return Decision {
                    endpoint: None,
                    role: draining,
                };
            }
            plan.recheck(until);
            Decision {
                endpoint: Some(WantedEndpoint::Draining),
                role: draining,
            }
        }
        None if drain.terminating_since.is_some() => {
            let until = *drain.gone_since.get_or_insert(now) + OPEN_AFTER;
            if now >= until {
                *drain = Drain::default();
                return Decision::default();
            }
            plan.recheck(until);
            Decision {
                endpoint: None,
                role: draining,
            }
        }
        None => Decision::default(),
    }
}
