//! When a runtime that says nothing is lost.

use std::time::{Duration, Instant};

/// Silence after which a runtime is asked directly.
pub const SUSPECT_AFTER: Duration = Duration::from_secs(3);
/// Silence after which it is lost, unless it answers when asked.
pub const LOST_AFTER: Duration = Duration::from_secs(5);
/// Silence after which it is lost even if it answers: it serves, but cannot be told anything. Longer than DNS caches
/// may keep a replica of the operator from it.
const LOST_ALTHOUGH_ANSWERING: Duration = Duration::from_secs(60);
/// An answer counts for this long.
const ANSWER_COUNTS: Duration = Duration::from_millis(2500);

/// How a direct question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// Its address is there, and nobody listens: the process is gone.
    Refused,
    /// The network knows no way to its address.
    Unreachable,
    /// Nothing came back in time.
    Silent,
}

/// What is known of one runtime's life.
#[derive(Clone, Debug)]
pub struct Signs {
    /// Its stream is open.
    pub open: bool,
    /// When it last said anything.
    pub heard: Instant,
    /// The last direct question, and when it ended.
    pub asked: Option<(Outcome, Instant)>,
}

/// What to make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lives.
    Alive,
    /// Ask it directly.
    Ask,
    /// It is lost.
    Lost,
}

impl Signs {
    /// It said something now.
    pub fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// Whether it counts as silent when it is asked how many are.
    pub fn is_silent(&self, now: Instant) -> bool {
        now.duration_since(self.heard) >= SUSPECT_AFTER
    }

    /// What to make of it. `frozen`: so many are silent at once that this end is the likelier cause; only what is
    /// certain counts then.
    pub fn judge(&self, now: Instant, frozen: bool) -> Verdict {
        let silence = now.duration_since(self.heard);
        if self.open && silence < SUSPECT_AFTER {
            return Verdict::Alive;
        }
        let answered = match self.asked {
            Some((Outcome::Refused, _)) => return Verdict::Lost,
            Some((Outcome::Unreachable, _)) if !frozen => return Verdict::Lost,
            Some((Outcome::Answered, at)) => now.duration_since(at) < ANSWER_COUNTS,
            _ => false,
        };
        let patience = if answered {
            LOST_ALTHOUGH_ANSWERING
        } else {
            LOST_AFTER
        };
        if silence >= patience && !frozen {
            Verdict::Lost
        } else {
            Verdict::Ask
        }
    }
}

/// Whether so many runtimes fell silent at once that none is given up for its silence.
pub fn is_frozen(silent: usize, all: usize) -> bool {
    silent >= 2 && silent * 100 > all * 55
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(open: bool, asked: Option<(Outcome, Instant)>) -> (Signs, Instant) {
        let heard = Instant::now();
        (Signs { open, heard, asked }, heard)
    }

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_beating_heart_is_alive_and_a_silent_one_is_asked_and_then_lost() {
        let (signs, start) = signs(true, None);
        assert_eq!(signs.judge(start + ms(2_900), false), Verdict::Alive);
        assert_eq!(signs.judge(start + ms(3_000), false), Verdict::Ask);
        assert_eq!(signs.judge(start + ms(5_000), false), Verdict::Lost);
    }

    #[test]
    fn a_closed_stream_is_asked_about_at_once_and_a_refusal_is_the_end() {
        let (mut signs, start) = signs(false, None);
        assert_eq!(signs.judge(start, false), Verdict::Ask);
        signs.asked = Some((Outcome::Refused, start));
        assert_eq!(signs.judge(start + ms(1), false), Verdict::Lost);
        assert_eq!(signs.judge(start + ms(1), true), Verdict::Lost);
    }

    #[test]
    fn one_that_answers_gets_more_time_but_not_for_ever() {
        let (mut signs, start) = signs(true, None);
        signs.asked = Some((Outcome::Answered, start + ms(4_000)));
        assert_eq!(signs.judge(start + ms(6_000), false), Verdict::Ask);
        assert_eq!(signs.judge(start + ms(7_000), false), Verdict::Lost);
        let end = LOST_ALTHOUGH_ANSWERING;
        signs.asked = Some((Outcome::Answered, start + end - ms(100)));
        assert_eq!(signs.judge(start + end - ms(1), false), Verdict::Ask);
        assert_eq!(signs.judge(start + end, false), Verdict::Lost);
    }

    #[test]
    fn while_most_are_silent_none_is_given_up_for_silence() {
        let (mut signs, start) = signs(true, None);
        assert_eq!(signs.judge(start + ms(60_000), true), Verdict::Ask);
        signs.asked = Some((Outcome::Unreachable, start));
        assert_eq!(signs.judge(start + ms(60_000), true), Verdict::Ask);
        assert_eq!(signs.judge(start + ms(4_000), false), Verdict::Lost);
    }

    #[test]
    fn freezing_takes_two_and_a_majority() {
        assert!(!is_frozen(1, 1));
        assert!(!is_frozen(5, 10));
        assert!(is_frozen(6, 10));
        assert!(is_frozen(2, 3));
    }
}
