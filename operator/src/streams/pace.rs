//! How much a runtime may say: each message costs something, and so does each app that it speaks of, for an app of
//! which there is news is planned again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use shoal_plan::PORTS;

/// Messages that may come at once, and in each second: one heartbeat, and reports that are bundled.
const MESSAGES: Bounds = Bounds {
    at_once: 200.0,
    a_second: 200.0,
};
/// Apps that may be spoken of at once: a full report of as many as a node can have, and news of all of them while they
/// start. In each second: a node's apps are not all news all the time.
const APPS: Bounds = Bounds {
    at_once: 3.0 * PORTS as f64,
    a_second: PORTS as f64 / 20.0,
};

/// What runtimes said of late, by pod: another stream of the same pod begins with no clean record.
#[derive(Debug, Default)]
pub struct Paces(Mutex<HashMap<Arc<str>, Pace>>);

#[derive(Clone, Copy, Debug)]
struct Bounds {
    at_once: f64,
    a_second: f64,
}

/// What one pod has left.
#[derive(Debug)]
struct Pace {
    messages: f64,
    apps: f64,
    filled: Instant,
}

impl Paces {
    /// Whether a pod may send a message that speaks of so many apps.
    pub fn admit(&self, pod: &Arc<str>, apps: usize, now: Instant) -> bool {
        let mut paces = self.0.lock();
        if !paces.contains_key(pod) {
            paces.retain(|_, pace| !pace.is_rested(now));
        }
        let pace = paces.entry(pod.clone()).or_insert(Pace::rested(now));
        pace.admit(apps, now)
    }
}

impl Pace {
    fn rested(now: Instant) -> Self {
        Self {
            messages: MESSAGES.at_once,
            apps: APPS.at_once,
            filled: now,
        }
    }

    fn is_rested(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.messages >= MESSAGES.at_once && self.apps >= APPS.at_once
    }

    fn admit(&mut self, apps: usize, now: Instant) -> bool {
        self.fill(now);
        let apps = apps as f64;
        if self.messages < 1.0 || self.apps < apps {
            return false;
        }
        self.messages -= 1.0;
        self.apps -= apps;
        true
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        let more =
            |left: f64, bounds: Bounds| (left + passed * bounds.a_second).min(bounds.at_once);
        self.messages = more(self.messages, MESSAGES);
        self.apps = more(self.apps, APPS);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pod(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn a_flood_of_messages_is_not_admitted_and_a_second_later_is_another_second() {
        let (paces, start) = (Paces::default(), Instant::now());
        let admitted = (0..1000).filter(|_| paces.admit(&pod("a"), 0, start));
        assert_eq!(admitted.count(), 200);
        assert!(paces.admit(&pod("a"), 0, start + Duration::from_secs(1)));
    }

    #[test]
    fn few_messages_that_speak_of_all_apps_again_and_again_are_a_flood_too() {
        let (paces, start) = (Paces::default(), Instant::now());
        let admitted = (0..100).filter(|_| paces.admit(&pod("a"), PORTS, start));
        assert_eq!(admitted.count(), 3);
        assert!(
            paces.admit(&pod("b"), PORTS, start),
            "another pod's is its own"
        );
        assert!(
            paces.admit(&pod("a"), 0, start),
            "it still shows that it lives"
        );
        let later = start + Duration::from_secs(20);
        let admitted = (0..100).filter(|_| paces.admit(&pod("a"), PORTS, later));
        assert_eq!(admitted.count(), 1);
    }

    #[test]
    fn pods_that_have_been_quiet_are_forgotten() {
        let (paces, start) = (Paces::default(), Instant::now());
        for n in 0..50 {
            paces.admit(&pod(&n.to_string()), 1, start);
        }
        paces.admit(&pod("last"), 1, start + Duration::from_secs(10));
        assert_eq!(paces.0.lock().len(), 1);
    }
}
