//! Whose turn it is to be pulled.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Images that are pulled at once.
const PULLS: usize = 8;
/// Of these from one registry: one that is slow, or means to be, leaves room for the others.
const PULLS_OF_A_REGISTRY: usize = 4;

/// The places of those who pull. Registries are named as references name them.
#[derive(Debug)]
pub(super) struct Pulls {
    all: Arc<Semaphore>,
    registries: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place among those who pull, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_registry: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Pulls {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(PULLS)),
            registries: Mutex::default(),
        }
    }
}

impl Pulls {
    /// Waits for a place. Who waits for a registry of which many are pulled takes none of the others'.
    pub(super) async fn enter(&self, registry: &str) -> Option<Place> {
        let of_registry = self.registry(registry).acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place {
            _of_registry: of_registry,
            _of_all: of_all,
        })
    }

    fn registry(&self, name: &str) -> Arc<Semaphore> {
        let mut registries = self.registries.lock();
        // Whoever holds a place of one, or waits for it, holds it.
        registries.retain(|_, places| Arc::strong_count(places) > 1);
        let places = registries
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| Arc::new(Semaphore::new(PULLS_OF_A_REGISTRY)));
        places.clone()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::join_all};

    use super::*;

    #[tokio::test]
    async fn a_registry_that_keeps_its_places_leaves_some_to_the_others() {
        let pulls = Pulls::default();
        let slow = join_all((0..PULLS_OF_A_REGISTRY).map(|_| pulls.enter("slow.example"))).await;
        let mut more = Box::pin(pulls.enter("SLOW.example"));
        assert!((&mut more).now_or_never().is_none());
        let other = pulls.enter("other.example").now_or_never().flatten();
        assert!(other.is_some());
        drop(slow);
        assert!(more.await.is_some());
    }

    #[tokio::test]
    async fn registries_that_nobody_pulls_from_are_forgotten() {
        let pulls = Pulls::default();
        for number in 0..100 {
            drop(pulls.enter(&format!("r{number}.example")).await);
        }
        assert!(pulls.registries.lock().len() <= 1);
    }
}
