//! The replicas behind a name, as they come and go.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Interval, MissedTickBehavior, interval},
};

use crate::client::resolve;

/// How often the name is resolved.
const EVERY: Duration = Duration::from_secs(3);
/// Most replicas that are followed.
const MAX_REPLICAS: usize = 16;

/// Which replicas came and went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicasChange {
    /// Not known before.
    pub added: Vec<SocketAddr>,
    /// No longer behind the name.
    pub removed: Vec<SocketAddr>,
}

/// Resolves a name to the addresses of all replicas, every 3 s.
///
/// Of a name with addresses of both families only one family is followed, since nothing tells which two
/// addresses are one replica: that of the first address, for as long as there are addresses of it. A name
/// that does not resolve changes nothing: those who were there may still be.
#[derive(Debug)]
pub struct Replicas {
    target: String,
    known: BTreeSet<SocketAddr>,
    ticks: Interval,
    failing: bool,
}

impl Replicas {
    /// Follows `target` (`host:port`). Must be called within a tokio runtime.
    pub fn new(target: &str) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            target: target.to_owned(),
            known: BTreeSet::new(),
            ticks,
            failing: false,
        }
    }

    /// Waits until replicas come or go; the first call gives those that are there. May be dropped at any
    /// point without losing a change.
    pub async fn changed(&mut self) -> ReplicasChange {
        loop {
            self.ticks.tick().await;
            match resolve(&self.target).await {
                Ok(found) => {
                    self.failing = false;
                    let now = one_family(&self.known, &found);
                    let change = ReplicasChange {
                        added: now.difference(&self.known).copied().collect(),
                        removed: self.known.difference(&now).copied().collect(),
                    };
                    if change != ReplicasChange::default() {
                        self.known = now;
                        return change;
                    }
                }
                Err(error) => {
                    if !self.failing {
                        tracing::warn!(target = self.target, %error, "a name does not resolve");
                    }
                    self.failing = true;
                }
            }
        }
    }
}

/// Runs `work` for every replica behind `target` (`host:port`) while it is there, each in a task of its
/// own; tells `gone` of those that are not there any more. Goes on for as long as it is polled, and ends
/// the tasks with itself.
pub async fn with_each<F>(target: &str, work: impl Fn(SocketAddr) -> F, gone: impl Fn(SocketAddr))
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut replicas = Replicas::new(target);
    let mut tasks = JoinSet::new();
    let mut running: HashMap<SocketAddr, AbortHandle> = HashMap::new();
    loop {
        let change = replicas.changed().await;
        while tasks.try_join_next().is_some() {}
        for address in change.removed {
            running.remove(&address).inspect(AbortHandle::abort);
            gone(address);
        }
        for address in change.added {
            running.insert(address, tasks.spawn(work(address)));
        }
    }
}

fn one_family(known: &BTreeSet<SocketAddr>, found: &[SocketAddr]) -> BTreeSet<SocketAddr> {
    let same = |a: &SocketAddr, b: &SocketAddr| a.is_ipv6() == b.is_ipv6();
    let followed = known
        .first()
        .filter(|known| found.iter().any(|found| same(found, known)));
    let Some(model) = followed.or(found.first()) else {
        return BTreeSet::new();
    };
    found
        .iter()
        .filter(|found| same(found, model))
        .take(MAX_REPLICAS)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(addresses: &[&str]) -> BTreeSet<SocketAddr> {
        addresses.iter().map(|a| a.parse().unwrap()).collect()
    }

    fn list(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn one_family_is_followed_until_it_is_gone() {
        let both = list(&["[fd00::1]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(one_family(&set(&[]), &both), set(&["[fd00::1]:1"]));
        assert_eq!(
            one_family(&set(&["10.0.0.9:1"]), &both),
            set(&["10.0.0.1:1", "10.0.0.2:1"])
        );
        assert_eq!(
            one_family(&set(&["[fd00::1]:1"]), &list(&["10.0.0.1:1"])),
            set(&["10.0.0.1:1"])
        );
    }

    #[tokio::test]
    async fn the_first_change_gives_those_that_are_there() {
        let mut replicas = Replicas::new("127.0.0.1:9443");
        let change = replicas.changed().await;
        assert_eq!(
            change,
            ReplicasChange {
                added: list(&["127.0.0.1:9443"]),
                removed: vec![]
            }
        );
    }
}
