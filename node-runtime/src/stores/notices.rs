//! What a person who owns an app would want to know.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use shoal_crds::Reason;
use tokio::sync::broadcast;

use crate::assignment::AppRef;

/// Of each app and reason one is told in this time.
const EVERY: Duration = Duration::from_secs(60);
/// Notices that wait for a reader; further ones push out the oldest.
const WAITING: usize = 64;
/// Apps and reasons that are remembered at most; what would be more is not told.
const REMEMBERED: usize = 10_000;

/// Something that happened to an app and does not change what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which app.
    pub app: AppRef,
    /// What kind of thing.
    pub reason: Reason,
    /// What happened, and what to do.
    pub message: String,
}

/// Passes notices on, at most one a minute for each app and reason.
pub(crate) struct Notices {
    told: Mutex<HashMap<AppRef, Vec<(Reason, Instant)>>>,
    sender: broadcast::Sender<Notice>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            told: Mutex::default(),
            sender: broadcast::Sender::new(WAITING),
        }
    }
}

impl Notices {
    /// Tells of `reason`, unless the app's owner was told a moment ago. The message is made only then.
    pub(crate) fn tell(&self, app: &AppRef, reason: Reason, message: impl FnOnce() -> String) {
        if !self.is_due(app, reason, Instant::now()) {
            return;
        }
        let message = message();
        tracing::warn!(%app, %reason, message, "an app is at a limit");
        let app = app.clone();
        // Without a reader there is nobody to tell.
        let _ = self.sender.send(Notice {
            app,
            reason,
            message,
        });
    }

    /// Sees every notice from now on.
    pub(crate) fn reader(&self) -> broadcast::Receiver<Notice> {
        self.sender.subscribe()
    }

    fn is_due(&self, app: &AppRef, reason: Reason, now: Instant) -> bool {
        let recent = |at: Instant| now.saturating_duration_since(at) < EVERY;
        let mut told = self.told.lock();
        if let Some(reasons) = told.get_mut(app) {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, at)) if recent(*at) => return false,
                Some((_, at)) => *at = now,
                None => reasons.push((reason, now)),
            }
            return true;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, reasons| reasons.iter().any(|(_, at)| recent(*at)));
        }
        let fits = told.len() < REMEMBERED;
        if fits {
            told.insert(app.clone(), vec![(reason, now)]);
        }
        fits
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
    fn an_app_and_a_reason_are_told_of_once_a_minute() {
        let (notices, now) = (Notices::default(), Instant::now());
        let (one, other) = (Reason::StoreLimitReached, Reason::StoreRateExceeded);
        assert!(notices.is_due(&app("a"), one, now));
        assert!(!notices.is_due(&app("a"), one, now + EVERY / 2));
        assert!(notices.is_due(&app("a"), other, now));
        assert!(notices.is_due(&app("b"), one, now));
        assert!(notices.is_due(&app("a"), one, now + EVERY));
    }

    #[test]
    fn however_many_apps_there_are_the_list_stays_short() {
        let (notices, now) = (Notices::default(), Instant::now());
        let due = |n: usize, at| {
            let name = n.to_string();
            notices.is_due(&app(&name), Reason::StoreLimitReached, at)
        };
        assert!((0..REMEMBERED).all(|n| due(n, now)));
        assert!(!due(REMEMBERED, now));
        assert!(due(REMEMBERED, now + EVERY));
        assert_eq!(notices.told.lock().len(), 1);
    }
}
