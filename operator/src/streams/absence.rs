//! Runtimes that this process has never heard: whether they live is asked directly, again and again.
//!
//! One that answers serves as it did, whenever it may find the operator; one that keeps failing to answer is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::silence::Outcome;

/// How often each is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// For how long one must have failed to answer to be lost. Longer than for one that was heard before: this process
/// is young, and the network may only be about to let it through.
const LOST_AFTER: Duration = Duration::from_secs(8);

/// What is known of one of them.
#[derive(Debug, Default)]
struct Absent {
    asked: Option<Instant>,
    asking: bool,
    /// Since when no question was answered.
    failing_since: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Absence {
    pods: HashMap<Arc<str>, Absent>,
}

impl Absence {
    /// These were not heard: returns whom to ask now.
    pub(super) fn look(&mut self, unheard: &[Arc<str>], now: Instant) -> Vec<Arc<str>> {
        self.pods.retain(|pod, _| unheard.contains(pod));
        let mut ask = Vec::new();
        for pod in unheard {
            let one = self.pods.entry(pod.clone()).or_default();
            let due = one
                .asked
                .is_none_or(|at| now.duration_since(at) >= ASK_EVERY);
            if due && !one.asking {
                one.asking = true;
                one.asked = Some(now);
                ask.push(pod.clone());
            }
        }
        ask
    }

    /// A question ended.
    pub(super) fn answered(&mut self, pod: &str, outcome: Outcome) {
        if let Some(one) = self.pods.get_mut(pod) {
            one.asking = false;
            match outcome {
                Outcome::Answered => one.failing_since = None,
                _ => one.failing_since = one.failing_since.or(one.asked),
            }
        }
    }

    /// Who is lost. `silent`: of `all` runtimes so many others say nothing. While most do not answer, this end is the
    /// likelier cause, and none is given up; Kubernetes' own word on them counts still.
    pub(super) fn lost(&self, silent: usize, all: usize, now: Instant) -> Vec<Arc<str>> {
        let failing = self.pods.values().filter(|one| one.failing_since.is_some());
        if (failing.count() + silent) * 100 > all * 55 {
            return Vec::new();
        }
        let lost = self.pods.iter().filter(|(_, one)| {
            one.failing_since
                .is_some_and(|since| now.duration_since(since) >= LOST_AFTER)
        });
        lost.map(|(pod, _)| pod.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for so long, every second; of `all`, the first so many fail with `outcome` and the rest answer.
    fn lost_of(all: usize, failing: usize, outcome: Outcome) -> Vec<Arc<str>> {
        let pods: Vec<Arc<str>> = (0..all).map(|n| n.to_string().into()).collect();
        let (mut absence, start) = (Absence::default(), Instant::now());
        for second in 0..60 {
            for pod in absence.look(&pods, start + Duration::from_secs(second)) {
                let fails = pods.iter().position(|one| *one == pod) < Some(failing);
                absence.answered(&pod, if fails { outcome } else { Outcome::Answered });
            }
        }
        let mut lost = absence.lost(0, all, start + Duration::from_secs(60));
        lost.sort();
        lost
    }

    #[test]
    fn one_that_answers_is_never_lost_and_one_that_does_not_is() {
        assert!(lost_of(3, 0, Outcome::Answered).is_empty());
        for outcome in [Outcome::Refused, Outcome::Unreachable, Outcome::Silent] {
            assert_eq!(lost_of(3, 1, outcome), [Arc::<str>::from("0")]);
        }
    }

    #[test]
    fn while_most_do_not_answer_none_is_lost() {
        for (all, failing) in [(1, 1), (2, 2), (3, 2), (10, 6)] {
            assert!(
                lost_of(all, failing, Outcome::Refused).is_empty(),
                "{failing} of {all}"
            );
        }
    }

    #[test]
    fn one_failure_is_not_enough_and_an_answer_in_between_counts() {
        let (mut absence, start) = (Absence::default(), Instant::now());
        let pods: [Arc<str>; 1] = ["a".into()];
        let at = |seconds| start + Duration::from_secs(seconds);
        for (second, outcome) in [
            (0, Outcome::Refused),
            (4, Outcome::Answered),
            (8, Outcome::Silent),
        ] {
            assert_eq!(absence.look(&pods, at(second)).len(), 1);
            absence.answered("a", outcome);
            assert!(absence.lost(0, 3, at(second + 1)).is_empty());
        }
        assert_eq!(absence.lost(0, 3, at(16)).len(), 1);
    }

    #[test]
    fn one_that_is_being_asked_is_not_asked_again_and_one_that_was_heard_is_forgotten() {
        let (mut absence, start) = (Absence::default(), Instant::now());
        let pods: [Arc<str>; 1] = ["a".into()];
        assert_eq!(absence.look(&pods, start).len(), 1);
        assert!(absence.look(&pods, start + ASK_EVERY * 5).is_empty());
        absence.answered("a", Outcome::Refused);
        assert!(absence.look(&[], start + ASK_EVERY * 6).is_empty());
        assert!(absence.lost(0, 3, start + ASK_EVERY * 60).is_empty());
    }
}
