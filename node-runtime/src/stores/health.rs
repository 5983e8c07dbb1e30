//! How the classes of this node do, for whoever wants to tell.

use std::collections::BTreeMap;

use shoal_crds::Reason;
use shoal_stores::PlaceId;
use tokio::sync::watch;

/// What is wrong with a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassFault {
    /// What kind of thing.
    pub reason: Reason,
    /// What is wrong and what to do, without credentials.
    pub message: String,
}

/// How a class does; `Ok`: it can be reached, in that place, unless the class came with a place.
pub type Standing = Result<Option<PlaceId>, ClassFault>;

/// How each class does of which that is known, by name.
pub type ClassHealth = BTreeMap<String, Standing>;

/// What is known of all classes; whoever follows it sees changes only.
#[derive(Clone)]
pub(super) struct Board(watch::Sender<ClassHealth>);

impl Default for Board {
    fn default() -> Self {
        Self(watch::Sender::new(ClassHealth::new()))
    }
}

impl Board {
    /// Notes how a class does.
    pub(super) fn set(&self, class: &str, health: Standing) {
        self.0.send_if_modified(|board| {
            let changed = board.get(class) != Some(&health);
            if changed {
                match &health {
                    Ok(_) => tracing::info!(class, "a class of stores can be reached"),
                    Err(ClassFault { reason, message }) => {
                        tracing::warn!(class, %reason, message, "a class of stores fails");
                    }
                }
                board.insert(class.to_owned(), health);
            }
            changed
        });
    }

    /// Forgets a class that is closed.
    pub(super) fn remove(&self, class: &str) {
        self.0
            .send_if_modified(|board| board.remove(class).is_some());
    }

    pub(super) fn follow(&self) -> watch::Receiver<ClassHealth> {
        self.0.subscribe()
    }
}
