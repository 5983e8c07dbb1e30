//! When a node is what it is to be: every app that it was told of first is ready, or failed for a
//! reason that is told. Until then another pod of the node may be the one that serves.
//!
//! Everything is bounded, so that neither one broken app nor an operator that is away keeps a node
//! from being ready for ever.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::assignment::AppRef;

/// How long a node waits before it is ready all the same.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an operator that says what the node is to run, once the node can speak to one.
    pub operator: Duration,
    /// For more of what it is to run, once it was told of something: an operator may still be
    /// planning.
    pub more: Duration,
    /// For the apps that it was told of.
    pub apps: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            operator: Duration::from_secs(30),
            more: Duration::from_secs(2),
            apps: Duration::from_secs(60),
        }
    }
}

/// See the module.
pub(super) struct Settling {
    patience: Patience,
    state: Mutex<State>,
}

enum State {
    /// Nothing was kept, and nobody can be asked yet.
    Alone,
    /// It may be told since then.
    Asking(Instant),
    /// It was told of these, first then.
    Told(Instant, BTreeSet<AppRef>),
}

impl Settling {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            state: Mutex::new(State::Alone),
        }
    }

    /// From now on an operator may say what there is to run.
    pub(super) fn ask(&self, now: Instant) {
        let mut state = self.state.lock();
        if matches!(*state, State::Alone) {
            *state = State::Asking(now);
        }
    }

    /// The node is to run these; `full`: and nothing else. What comes much later is no start.
    pub(super) fn told(&self, apps: impl IntoIterator<Item = AppRef>, full: bool, now: Instant) {
        let mut state = self.state.lock();
        match &mut *state {
            State::Told(since, known) => {
                if now.saturating_duration_since(*since) < self.patience.more {
                    known.extend(apps);
                }
            }
            State::Alone | State::Asking(_) if full => {
                *state = State::Told(now, apps.into_iter().collect());
            }
            State::Alone | State::Asking(_) => {}
        }
    }

    /// Whether the node is what it is to be, or has waited long enough. `settled`: whether an app is
    /// ready, failed, or no longer wanted.
    pub(super) fn is_over(&self, now: Instant, settled: impl Fn(&AppRef) -> bool) -> bool {
        let waited = |since: &Instant| now.saturating_duration_since(*since);
        match &*self.state.lock() {
            State::Alone => false,
            State::Asking(since) => waited(since) >= self.patience.operator,
            State::Told(since, apps) => {
                let waited = waited(since);
                waited >= self.patience.apps
                    || waited >= self.patience.more && apps.iter().all(settled)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppRef {
        AppRef {
            namespace: "ns".into(),
            name: name.into(),
            uid: String::new(),
        }
    }

    #[test]
    fn a_node_waits_for_its_first_apps_and_for_none_of_the_later_ones() {
        let (patience, now) = (Patience::default(), Instant::now());
        let settling = Settling::new(patience);
        assert!(!settling.is_over(now, |_| true), "it could not ask yet");
        settling.ask(now);
        assert!(!settling.is_over(now, |_| true));
        settling.told([app("a")], true, now);
        settling.told([app("b")], false, now + patience.more / 2);
        assert!(!settling.is_over(now, |_| true), "more may follow");
        let later = now + patience.more;
        settling.told([app("c")], true, later);
        assert!(!settling.is_over(later, |a| *a != app("a")));
        assert!(!settling.is_over(later, |a| *a != app("b")));
        assert!(settling.is_over(later, |a| *a != app("c")));
    }

    #[test]
    fn nothing_is_waited_for_without_end() {
        let (patience, now) = (Patience::default(), Instant::now());
        let settling = Settling::new(patience);
        settling.ask(now);
        assert!(settling.is_over(now + patience.operator, |_| false));
        settling.told([app("a")], true, now);
        assert!(!settling.is_over(now + patience.more, |_| false));
        assert!(settling.is_over(now + patience.apps, |_| false));
    }
}
