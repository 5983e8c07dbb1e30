//! The class that is built in, while no StoreClass declares it: there is no object to say how it does, so the Apps
//! that have data in it say it.

use jiff::{SignedDuration, Timestamp};
use shoal_crds::EMBEDDED_CLASS;

use super::health::{Fares, fares};
use crate::{Index, index::BuiltIn, output::Plan};

/// All Apps that have data there are told otherwise at most this often, while the reason is one.
const WORDS_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Finds out how it does, and has the Apps planned of which that is news.
pub(super) fn plan(index: &mut Index, now: Timestamp, plan: &mut Plan) {
    let before = index.classes.built_in();
    // Before anything is known here, another operator may have said it.
    let stood = !matches!(before, Some(BuiltIn::Well));
    let Some(fares) = fares(index, EMBEDDED_CLASS, stood, now, plan) else {
        return;
    };
    let is_now = match fares {
        Fares::Badly(reason, message) => BuiltIn::Badly { reason, message },
        Fares::Well | Fares::Idle | Fares::Unused => BuiltIn::Well,
    };
    if before == Some(&is_now) {
        return;
    }
    let is_same_trouble = before.is_some_and(|before| before.reason() == is_now.reason());
    let next = index.classes.written_at(EMBEDDED_CLASS);
    let next = next.map(|at| at + WORDS_EVERY).filter(|next| *next > now);
    if let Some(next) = next.filter(|_| is_same_trouble) {
        plan.recheck(next);
        return;
    }
    index.classes.set_written(EMBEDDED_CLASS, now);
    index.set_built_in(is_now);
}

/// It is declared: its StoreClass says how it does.
pub(super) fn declared(index: &mut Index) {
    if index.classes.built_in() != Some(&BuiltIn::Well) {
        index.set_built_in(BuiltIn::Well);
    }
}
