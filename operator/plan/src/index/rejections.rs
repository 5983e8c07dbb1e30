//! What the API server refused to write for an App.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Index;
use crate::AppKey;

const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusable {
    /// The App's Service.
    Service,
    /// A Store for one of its labels.
    Store,
    /// One of its EndpointSlices.
    Slice,
}

/// The API server refused a write.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    /// `metadata.generation` of the App that asked for it.
    generation: i64,
    /// Why.
    pub(crate) message: String,
    /// When to try again.
    pub(crate) retry_at: Timestamp,
}

/// All that was refused for an App.
#[derive(Debug, Default)]
pub(crate) struct Rejections(BTreeMap<Refusable, Rejection>);

impl Rejections {
    /// What was refused for this generation of the App.
    pub(crate) fn get(&self, what: Refusable) -> Option<&Rejection> {
        self.0.get(&what)
    }

    /// It is as it should be, or another is wanted.
    pub(crate) fn forget(&mut self, what: Refusable) {
        self.0.remove(&what);
    }

    /// Another generation of the App wants something else.
    pub(crate) fn forget_other_generations(&mut self, generation: i64) {
        self.0.retain(|_, one| one.generation == generation);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Index {
    /// The API server refused a write of this `kind` for the App (a 4xx that trying again at once does not mend).
    pub fn write_refused(&mut self, key: &AppKey, kind: &str, message: &str, now: Timestamp) {
        let what = match kind {
            "Service" => Refusable::Service,
            "Store" | "StoreClass" => Refusable::Store,
            "EndpointSlice" => Refusable::Slice,
            _ => return,
        };
        let Some(entry) = self.apps.get_mut(key) else {
            return;
        };
        let Some(app) = entry.app.as_deref() else {
            return;
        };
        let rejection = Rejection {
            generation: app.metadata.generation.unwrap_or_default(),
            message: message.to_owned(),
            retry_at: now + RETRY_AFTER,
        };
        let before = entry.rejections.0.insert(what, rejection);
        // The same again is no news, and whoever sent the write tries it again by itself.
        if before.is_none_or(|before| before.message != message) {
            self.dirty.insert(key.clone());
        }
    }
}
