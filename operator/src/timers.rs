//! When which App is to be planned again although nothing happened.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use shoal_plan::AppKey;

/// At most one time for each App.
#[derive(Debug, Default)]
pub struct Timers {
    by_app: HashMap<AppKey, Timestamp>,
    order: BTreeSet<(Timestamp, AppKey)>,
}

impl Timers {
    /// The newest plan of an App wants this.
    pub fn set(&mut self, app: &AppKey, at: Option<Timestamp>) {
        if let Some(before) = self.by_app.remove(app) {
            self.order.remove(&(before, app.clone()));
        }
        if let Some(at) = at {
            self.by_app.insert(app.clone(), at);
            self.order.insert((at, app.clone()));
        }
    }

    /// Apps whose time has come; each once.
    pub fn due(&mut self, now: Timestamp) -> Vec<AppKey> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.order.first() {
            if *at > now {
                break;
            }
            if let Some((_, app)) = self.order.pop_first() {
                self.by_app.remove(&app);
                due.push(app);
            }
        }
        due
    }

    /// The next time.
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_newest_time_of_an_app_counts_and_fires_once() {
        let (mut timers, app) = (Timers::default(), AppKey::new("shop", "a"));
        timers.set(&app, Some(at(10)));
        timers.set(&app, Some(at(20)));
        assert!(timers.due(at(10)).is_empty());
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.due(at(20)), [app]);
        assert!(timers.due(at(30)).is_empty());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_plan_without_a_time_takes_it_back() {
        let (mut timers, app) = (Timers::default(), AppKey::new("shop", "a"));
        timers.set(&app, Some(at(10)));
        timers.set(&app, None);
        assert!(timers.due(at(10)).is_empty());
    }
}
