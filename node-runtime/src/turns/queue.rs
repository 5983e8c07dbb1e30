//! Whose turn it is: a queue for each app, and of the apps the one that had least of the processor.
//!
//! Pure: what counts as time is told, and what waits is anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Processor time of an app, divided by its weight: nanoseconds at weight 1,000.
pub(super) type Virtual = u64;

/// Names an app's share of the processor.
pub(super) type ShareId = u64;

/// See the module.
pub(super) struct Queue<T> {
    shares: BTreeMap<ShareId, Waiting<T>>,
    /// Shares by the time at which they queued.
    order: BTreeSet<(Virtual, ShareId)>,
    /// Time of the share that last had a turn: nobody who comes back has earned more than that.
    now: Virtual,
}

struct Waiting<T> {
    /// Where it is in the order.
    at: Virtual,
    tasks: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            shares: BTreeMap::new(),
            order: BTreeSet::new(),
            now: 0,
        }
    }
}

impl<T> Queue<T> {
    /// The least time that one who wants a turn now may have: rest earns nothing.
    pub(super) fn now(&self) -> Virtual {
        self.now
    }

    /// How many shares wait.
    #[cfg(test)]
    pub(super) fn shares(&self) -> usize {
        self.shares.len()
    }

    /// The time of the one whose turn is next.
    pub(super) fn first(&self) -> Option<Virtual> {
        self.order.first().map(|(at, _)| *at)
    }

    /// `task` of the app waits for a turn; the app has had `time`.
    pub(super) fn push(&mut self, share: ShareId, time: Virtual, task: T) {
        if let Some(waiting) = self.shares.get_mut(&share) {
            waiting.tasks.push_back(task);
            return;
        }
        self.order.insert((time, share));
        let tasks = VecDeque::from([task]);
        self.shares.insert(share, Waiting { at: time, tasks });
    }

    /// Whose turn is next. `time` says what an app has had by now: one that had more since it queued
    /// goes back.
    pub(super) fn pop(&mut self, time: impl Fn(&T) -> Virtual) -> Option<T> {
        loop {
            let (at, share) = self.order.pop_first()?;
            let waiting = self.shares.get_mut(&share)?;
            let by_now = waiting.tasks.front().map_or(at, &time);
            if by_now > at {
                waiting.at = by_now;
                self.order.insert((by_now, share));
                continue;
            }
            self.now = self.now.max(at);
            let task = waiting.tasks.pop_front();
            if waiting.tasks.is_empty() {
                self.shares.remove(&share);
            } else {
                self.order.insert((at, share));
            }
            return task;
        }
    }

    /// Takes out what waits no longer.
    pub(super) fn remove(&mut self, share: ShareId, gone: impl Fn(&T) -> bool) {
        let Some(waiting) = self.shares.get_mut(&share) else {
            return;
        };
        waiting.tasks.retain(|task| !gone(task));
        if waiting.tasks.is_empty() {
            self.order.remove(&(waiting.at, share));
            self.shares.remove(&share);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An app that always wants the processor, with so many tasks at once.
    #[derive(Clone, Debug)]
    struct Greedy {
        weight: u64,
        tasks: usize,
        /// What a task computes before it gives way: nanoseconds.
        turn: u64,
    }

    fn greedy() -> impl Strategy<Value = Greedy> {
        (100..5000_u64, 1..200_usize, 50_000..2_000_000_u64).prop_map(|(weight, tasks, turn)| {
            Greedy {
                weight,
                tasks,
                turn,
            }
        })
    }

    /// Processor time that each app had when so much was given in all.
    fn share_out(apps: &[Greedy], total: u64) -> Vec<u64> {
        let mut queue = Queue::default();
        let mut times = vec![0; apps.len()];
        let mut had = vec![0; apps.len()];
        for (index, app) in apps.iter().enumerate() {
            for _ in 0..app.tasks {
                queue.push(index as u64, 0, index);
            }
        }
        while had.iter().sum::<u64>() < total {
            let index = queue.pop(|&index| times[index]).unwrap();
            had[index] += apps[index].turn;
            times[index] += apps[index].turn * 1000 / apps[index].weight;
            queue.push(index as u64, times[index], index);
        }
        had
    }

    proptest! {
        #[test]
        fn each_has_its_part_by_weight_however_many_tasks_it_has(
            apps in prop::collection::vec(greedy(), 2..12),
        ) {
            let total = 400_000_000;
            let had = share_out(&apps, total);
            let weights: u64 = apps.iter().map(|app| app.weight).sum();
            let longest = apps.iter().map(|app| app.turn).max().unwrap();
            let given: u64 = had.iter().sum();
            for (app, had) in apps.iter().zip(had) {
                let part = (given as f64) * app.weight as f64 / weights as f64;
                // One turn of each is what nobody can undo.
                let off = longest as f64 * (app.weight as f64 / 100.0 + 1.0) * apps.len() as f64;
                prop_assert!(((had as f64) - part).abs() <= off, "{app:?} had {had} of {part}");
            }
        }

        #[test]
        fn what_waits_is_given_out_once_or_removed(
            pushed in prop::collection::vec((0..6_u64, 0..1000_u64), 0..60),
            removed in 0..6_u64,
        ) {
            let mut queue = Queue::default();
            for (task, (share, time)) in pushed.iter().enumerate() {
                queue.push(*share, *time, (task, *share));
            }
            queue.remove(removed, |_| true);
            let mut seen: Vec<usize> = std::iter::from_fn(|| queue.pop(|_| 0)).map(|(task, _)| task).collect();
            seen.sort_unstable();
            let wanted: Vec<usize> = pushed
                .iter()
                .enumerate()
                .filter(|(_, (share, _))| *share != removed)
                .map(|(task, _)| task)
                .collect();
            prop_assert_eq!(seen, wanted);
            prop_assert_eq!(queue.shares(), 0);
            prop_assert_eq!(queue.first(), None);
        }
    }

    #[test]
    fn tasks_of_one_app_take_turns_in_order() {
        let mut queue = Queue::default();
        for task in 0..3 {
            queue.push(1, 5, task);
        }
        assert_eq!(queue.pop(|_| 5), Some(0));
        queue.push(1, 6, 9);
        assert_eq!([(); 3].map(|()| queue.pop(|_| 5).unwrap()), [1, 2, 9]);
    }

    #[test]
    fn one_that_ran_elsewhere_since_it_queued_goes_back() {
        let mut queue = Queue::default();
        queue.push(1, 0, 'a');
        queue.push(2, 10, 'b');
        let time = |task: &char| if *task == 'a' { 20 } else { 10 };
        assert_eq!(queue.pop(time), Some('b'));
        assert_eq!(queue.now(), 10);
        assert_eq!(queue.pop(time), Some('a'));
        assert_eq!(queue.now(), 20);
    }
}
