//! What runtimes want told to whoever owns an App: an Event, by the replica that leads.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use shoal_crds::Reason;
use shoal_plan::AppRef;
use tracing::debug;

use crate::events::{Events, Notice};
use crate::lease::Leadership;
use crate::world::World;

/// What a runtime may say: not what others do, such as a purge or an export.
const OF_RUNTIMES: [Reason; 2] = [Reason::StoreLimitReached, Reason::StoreRateExceeded];

/// Takes notices.
#[derive(Clone)]
pub struct Notices {
    world: Arc<World>,
    events: Events,
    leadership: Leadership,
}

impl Notices {
    /// Those about Apps of `world` become `events`.
    pub fn new(world: Arc<World>, events: Events, leadership: Leadership) -> Self {
        Self {
            world,
            events,
            leadership,
        }
    }

    /// A runtime tells something of an App. It counts if it was told to run that App, and for a reason that is a
    /// runtime's to give; how often is for the Events to decide.
    pub fn take(&self, pod: &str, app: &AppRef, reason: &str, message: String) {
        if self.leadership.epoch().is_none() {
            return;
        }
        let known = of_runtimes(reason);
        let is_its_own = self.world.with(|index| index.has_been_told(pod, app));
        let (Some(reason), true) = (known, is_its_own) else {
            debug!(pod, app = %app.key(), "a notice of a runtime does not count");
            return;
        };
        let about = ObjectReference {
            api_version: Some(format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION)),
            kind: Some("App".into()),
            namespace: Some(app.namespace.clone()),
            name: Some(app.name.clone()),
            uid: Some(app.uid.clone()),
            ..ObjectReference::default()
        };
        self.events.tell(Notice {
            about,
            warning: true,
            reason: reason.as_str().to_owned(),
            note: message,
            every_time: false,
        });
    }
}

/// The reason of this name, if it is a runtime's to give.
fn of_runtimes(name: &str) -> Option<Reason> {
    Reason::parse(name).filter(|reason| OF_RUNTIMES.contains(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_tells_of_limits_and_not_of_what_others_do() {
        let limit = Reason::StoreLimitReached;
        assert_eq!(of_runtimes(limit.as_str()), Some(limit));
        for others in [
            "Purged",
            "Exported",
            "BadSignature",
            "",
            "storelimitreached",
        ] {
            assert_eq!(of_runtimes(others), None, "{others}");
        }
    }
}
