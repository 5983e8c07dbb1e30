//! When which object is read.
//!
//! A tenth of a second has room for one object that is read again, and for a few that were never read:
//! Apps wait for those. While few objects are referred to each is read every five seconds; with more than
//! fifty the same number of reads goes round. Namespaces take turns: one that refers to thousands of objects
//! makes its own Apps wait, and no others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use shoal_plan::SourceRef;
use tokio::time::Instant;

/// How often something may be read.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Objects that may be read for the first time in one tick.
const FIRST_READS: usize = 5;
/// An object is read again after this long, at the earliest.
const AGAIN: Duration = Duration::from_secs(5);
/// One that cannot be read waits twice as long after each try, at most this long.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The API server said what is there, or that nothing is.
    Read,
    /// It did not.
    Failed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Of the index's list that this follows; `None`: of no list.
    pub(super) version: Option<u64>,
    /// Objects by namespace; none is empty.
    namespaces: BTreeMap<Arc<str>, Namespace>,
    /// The namespace that last had a turn at first reads.
    last_first: Arc<str>,
    /// The namespace that last had a turn at reads again.
    last_again: Arc<str>,
}

/// The objects of one namespace.
#[derive(Debug, Default)]
struct Namespace {
    never_read: VecDeque<SourceRef>,
    entries: BTreeMap<SourceRef, Entry>,
    /// Objects that are not being read, by when they are due.
    by_time: BTreeSet<(Instant, SourceRef)>,
}

#[derive(Debug, Default)]
struct Entry {
    due: Option<Instant>,
    failures: u32,
}

impl Schedule {
    /// These are the objects to read, and no others.
    pub(super) fn keep(&mut self, sources: &BTreeSet<SourceRef>) {
        for namespace in self.namespaces.values_mut() {
            namespace.keep(sources);
        }
        for source in sources {
            let namespace = Arc::clone(&source.key.namespace);
            self.namespaces.entry(namespace).or_default().add(source);
        }
        self.namespaces.retain(|_, one| !one.entries.is_empty());
    }

    /// What is to be read in this tick. Each counts as being read until [`Schedule::done`].
    pub(super) fn due(&mut self, now: Instant) -> Vec<SourceRef> {
        let mut due = Vec::new();
        while due.len() < FIRST_READS
            && let Some(source) = self.turn(|of| &mut of.last_first, Namespace::first)
        {
            due.push(source);
        }
        due.extend(self.turn(|of| &mut of.last_again, |one| one.again(now)));
        due
    }

    /// What `take` finds in the namespace whose turn it is, the first after the last one that has something.
    fn turn(
        &mut self,
        last: impl Fn(&mut Self) -> &mut Arc<str>,
        take: impl Fn(&mut Namespace) -> Option<SourceRef>,
    ) -> Option<SourceRef> {
        let before = Arc::clone(last(self));
        let (after, up_to) = (
            (Excluded(Arc::clone(&before)), Unbounded),
            (Unbounded, std::ops::Bound::Included(before)),
        );
        let mut found = self
            .namespaces
            .range_mut(after)
            .find_map(|(_, one)| take(one));
        if found.is_none() {
            found = self
                .namespaces
                .range_mut(up_to)
                .find_map(|(_, one)| take(one));
        }
        if let Some(source) = &found {
            *last(self) = Arc::clone(&source.key.namespace);
        }
        found
    }

    /// A read ended.
    pub(super) fn done(&mut self, source: &SourceRef, outcome: Outcome, now: Instant) {
        if let Some(namespace) = self.namespaces.get_mut(&source.key.namespace) {
            namespace.done(source, outcome, now);
        }
    }
}

impl Namespace {
    fn keep(&mut self, sources: &BTreeSet<SourceRef>) {
        self.never_read.retain(|source| sources.contains(source));
        self.by_time.retain(|(_, source)| sources.contains(source));
        self.entries.retain(|source, _| sources.contains(source));
    }

    fn add(&mut self, source: &SourceRef) {
        if !self.entries.contains_key(source) {
            self.entries.insert(source.clone(), Entry::default());
            self.never_read.push_back(source.clone());
        }
    }

    fn first(&mut self) -> Option<SourceRef> {
        self.never_read.pop_front()
    }

    fn again(&mut self, now: Instant) -> Option<SourceRef> {
        let (_, source) = self.by_time.first().filter(|(at, _)| *at <= now)?.clone();
        self.by_time.pop_first();
        if let Some(entry) = self.entries.get_mut(&source) {
            entry.due = None;
        }
        Some(source)
    }

    fn done(&mut self, source: &SourceRef, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(source) else {
            return;
        };
        if let Some(before) = entry.due {
            self.by_time.remove(&(before, source.clone()));
        }
        let wait = match outcome {
            Outcome::Read => {
                entry.failures = 0;
                AGAIN
            }
            Outcome::Failed => {
                let doubled = 1_u32 << entry.failures.min(6);
                entry.failures += 1;
                (Duration::from_secs(1) * doubled).min(LONGEST_WAIT)
            }
        };
        let due = now + wait;
        entry.due = Some(due);
        self.by_time.insert((due, source.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use shoal_crds::SourceKind;
    use shoal_plan::ObjectKey;

    use super::*;

    fn source(n: usize) -> SourceRef {
        SourceRef {
            kind: SourceKind::Secret,
            key: ObjectKey::new("shop", &format!("s{n:04}")),
        }
    }

    fn sources(count: usize) -> BTreeSet<SourceRef> {
        (0..count).map(source).collect()
    }

    /// Runs for `seconds`; gives the times in seconds at which each object was read.
    fn reads(
        schedule: &mut Schedule,
        start: Instant,
        seconds: u64,
    ) -> HashMap<SourceRef, Vec<f64>> {
        let mut reads: HashMap<SourceRef, Vec<f64>> = HashMap::new();
        for tick in 0..seconds * 10 {
            let now = start + TICK * u32::try_from(tick).unwrap();
            for source in schedule.due(now) {
                reads
                    .entry(source.clone())
                    .or_default()
                    .push((now - start).as_secs_f64());
                schedule.done(&source, Outcome::Read, now);
            }
        }
        reads
    }

    #[test]
    fn few_objects_are_each_read_well_within_fifteen_seconds() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.keep(&sources(50));
        for (source, times) in reads(&mut schedule, start, 60) {
            assert!(times[0] <= 1.0, "{source} was first read at {}", times[0]);
            let longest = times
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .fold(0.0, f64::max);
            // Read first all at once, they are due all at once; after that they go round.
            assert!(longest <= 10.0, "{source} was not read for {longest} s");
        }
    }

    #[test]
    fn many_objects_share_ten_reads_a_second_and_none_is_forgotten() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.keep(&sources(1000));
        let reads = reads(&mut schedule, start, 140);
        assert_eq!(reads.len(), 1000);
        let again: usize = reads.values().map(|times| times.len() - 1).sum();
        assert!(again <= 1400, "{again} reads in 140 s");
        assert!(
            reads
                .values()
                .all(|times| times[0] <= 21.0 && times.len() > 1)
        );
    }

    #[test]
    fn what_cannot_be_read_waits_longer_and_longer_and_holds_up_nobody() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.keep(&sources(2));
        let (mut failed, mut fine) = (Vec::new(), 0);
        for tick in 0..2000 {
            let now = start + TICK * tick;
            for one in schedule.due(now) {
                if one == source(0) {
                    failed.push((now - start).as_secs());
                    schedule.done(&one, Outcome::Failed, now);
                } else {
                    fine += 1;
                    schedule.done(&one, Outcome::Read, now);
                }
            }
        }
        assert_eq!(failed, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert!(fine >= 38, "{fine}");
    }

    #[test]
    fn what_is_not_referred_to_any_more_is_not_read_not_even_after_a_read_that_was_under_way() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.keep(&sources(2));
        assert_eq!(schedule.due(start), [source(0), source(1)]);
        assert_eq!(schedule.due(start), [], "both are being read");
        schedule.keep(&sources(1));
        schedule.done(&source(0), Outcome::Read, start);
        schedule.done(&source(1), Outcome::Read, start);
        assert_eq!(schedule.due(start + AGAIN), [source(0)]);
        schedule.keep(&BTreeSet::new());
        assert_eq!(schedule.due(start + AGAIN * 2), []);
    }

    #[test]
    fn a_namespace_that_refers_to_thousands_of_objects_makes_no_other_wait() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let mut all = sources(5000);
        let others: BTreeSet<_> = ["alone", "zoo"]
            .map(|namespace| SourceRef {
                kind: SourceKind::Secret,
                key: ObjectKey::new(namespace, "one"),
            })
            .into();
        schedule.keep(&all);
        schedule.due(start);
        all.extend(others.iter().cloned());
        schedule.keep(&all);
        let reads = reads(&mut schedule, start + TICK, 60);
        for other in &others {
            let times = &reads[other];
            assert!(times[0] <= 0.1, "{other} was first read at {}", times[0]);
            assert!(times.len() >= 10, "{other} was read at {times:?}");
        }
    }
}
