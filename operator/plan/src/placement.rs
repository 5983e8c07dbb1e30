//! On which nodes an app is served: rendezvous hashing with bounded load, spread over zones, sticky.
//!
//! Each node has a rank for each app, the same whoever computes it, so that the loss of a node moves the apps of
//! that node alone. Of the nodes with the best ranks those that are full are passed over. Where an app is already
//! it stays: it moves only if its node is lost to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{AppKey, hash};

/// A node gets new apps up to this much of the mean, in percent.
const BOUND_PERCENT: usize = 125;

/// A node that may serve the app.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    /// Name of the node.
    pub(crate) node: &'a str,
    /// Its zone, if it has one.
    pub(crate) zone: Option<&'a str>,
    /// How many other apps it has.
    pub(crate) load: usize,
    /// The app is there already; `true`: and answers.
    pub(crate) current: Option<bool>,
    /// It may get apps that it does not have yet.
    pub(crate) accepts_new: bool,
}

/// Chooses `replicas` of the candidates, or as many as there are.
pub(crate) fn place(
    app: &AppKey,
    replicas: usize,
    candidates: &[Candidate<'_>],
) -> BTreeSet<String> {
    let mut choice = Choice::default();
    let here = candidates.iter().filter(|c| c.current.is_some());
    choice.take(app, replicas, here, |c| {
        usize::from(c.current != Some(true))
    });
    let bound = bound(replicas, candidates);
    let others = candidates
        .iter()
        .filter(|c| c.current.is_none() && c.accepts_new);
    // A node over its bound is better than none: of those the emptiest.
    choice.take(app, replicas, others, |c| {
        if c.load < bound { 0 } else { c.load }
    });
    choice.nodes
}

/// How many apps a node may have and still get one more.
fn bound(replicas: usize, candidates: &[Candidate<'_>]) -> usize {
    let total: usize = candidates.iter().map(|c| c.load).sum::<usize>() + replicas;
    (total * BOUND_PERCENT)
        .div_ceil(candidates.len().max(1) * 100)
        .max(1)
}

#[derive(Default)]
struct Choice<'a> {
    nodes: BTreeSet<String>,
    zones: BTreeMap<Option<&'a str>, usize>,
}

impl<'a> Choice<'a> {
    /// Takes candidates until there are `replicas`: the least `preference`, then the emptiest zone, then the best
    /// rank.
    fn take<'c>(
        &mut self,
        app: &AppKey,
        replicas: usize,
        candidates: impl Iterator<Item = &'c Candidate<'a>>,
        preference: impl Fn(&Candidate<'a>) -> usize,
    ) where
        'a: 'c,
    {
        let rank = |c: &Candidate<'_>| hash::rank(&[&app.namespace, &app.name, c.node]);
        let mut open: Vec<_> = candidates.map(|c| (preference(c), rank(c), c)).collect();
        while self.nodes.len() < replicas {
            let best = open
                .iter()
                .enumerate()
                .min_by_key(|(_, (preference, rank, c))| {
                    let zone = self.zones.get(&c.zone).copied().unwrap_or_default();
                    (*preference, zone, std::cmp::Reverse(*rank), c.node)
                });
            let Some((position, _)) = best else { return };
            let (_, _, chosen) = open.swap_remove(position);
            *self.zones.entry(chosen.zone).or_default() += 1;
            self.nodes.insert(chosen.node.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
