//! Apps that come and go on a pod: each time is a write, and one that takes an endpoint out waits for no other. So a
//! runtime that says again and again that its apps answer, and then that they do not, is believed more slowly.

use jiff::{SignedDuration, Timestamp};

/// How often an App may stop answering on a pod before it has to wait.
const FREE: u32 = 3;
/// Seconds of the first wait, which the next ones double, and of the longest.
const PAUSES: (i64, i64) = (5, 60);
/// An App that answered for so long, before it stopped, has a clean record.
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// An App on a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flaps {
    /// Since when it counts as answering; `None`: it does not.
    answers_since: Option<Timestamp>,
    /// How often it stopped, soon after it had begun.
    stopped: u32,
    /// When it last stopped.
    stopped_at: Option<Timestamp>,
}

impl Flaps {
    /// The App answers there, or not. Whether it counts as answering now; if not, from when on it does.
    pub(crate) fn hear(&mut self, answers: bool, now: Timestamp) -> Result<bool, Timestamp> {
        if !answers {
            if let Some(since) = self.answers_since.take() {
                let forgiven = since + FORGIVEN_AFTER <= now;
                self.stopped = if forgiven { 1 } else { self.stopped + 1 };
                self.stopped_at = Some(now);
            }
            return Ok(false);
        }
        if self.answers_since.is_some() {
            return Ok(true);
        }
        if let Some(until) = self.pause_ends().filter(|until| *until > now) {
            return Err(until);
        }
        self.answers_since = Some(now);
        Ok(true)
    }

    fn pause_ends(&self) -> Option<Timestamp> {
        let beyond = self.stopped.checked_sub(FREE + 1)?;
        let (first, longest) = PAUSES;
        let seconds = (first << beyond.min(8)).min(longest);
        Some(self.stopped_at? + SignedDuration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_times_are_believed_at_once() {
        let mut flaps = Flaps::default();
        for second in 0..i64::from(FREE) {
            assert_eq!(flaps.hear(true, at(second)), Ok(true));
            assert_eq!(flaps.hear(false, at(second)), Ok(false));
        }
        assert_eq!(flaps.hear(true, at(10)), Ok(true));
    }

    #[test]
    fn who_goes_on_waits_longer_and_longer_and_is_forgiven_once_it_stays() {
        let mut flaps = Flaps::default();
        let (mut now, mut waited) = (0, Vec::new());
        for _ in 0..10 {
            let from = match flaps.hear(true, at(now)) {
                Ok(_) => at(now),
                Err(from) => from,
            };
            waited.push(from.as_second() - now);
            now = from.as_second();
            assert_eq!(flaps.hear(true, at(now)), Ok(true));
            assert_eq!(flaps.hear(true, at(now)), Ok(true), "it is no news");
            assert_eq!(flaps.hear(false, at(now)), Ok(false));
            assert_eq!(flaps.hear(false, at(now)), Ok(false), "it is no news");
        }
        assert_eq!(waited, [0, 0, 0, 0, 5, 10, 20, 40, 60, 60]);
        assert_eq!(flaps.hear(true, at(now + 60)), Ok(true));
        assert_eq!(flaps.hear(false, at(now + 120)), Ok(false));
        assert_eq!(flaps.hear(true, at(now + 120)), Ok(true));
    }
}
