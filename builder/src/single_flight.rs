//! The same work asked for twice at once is done once.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;

/// Work in progress by its name.
///
/// Work goes on when whoever asked for it goes away: the next to ask finds it done.
pub struct SingleFlight<K, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

type Flight<V> = Shared<BoxFuture<'static, Option<V>>>;

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self {
            flights: Arc::default(),
        }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The result of the work of this name: of what is under way, else of what `work` starts.
    /// `None`: it panicked.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = {
            let mut flights = self.flights.lock();
            match flights.get(&key) {
                Some(flight) => flight.clone(),
                None => {
                    let landing = Landing {
                        flights: self.flights.clone(),
                        key: key.clone(),
                    };
                    let work = work();
                    let task = tokio::spawn(async move {
                        let _landing = landing;
                        work.await
                    });
                    let flight = task.map(Result::ok).boxed().shared();
                    flights.insert(key, flight.clone());
                    flight
                }
            }
        };
        flight.await
    }
}

/// Takes the flight off the list, also when its work panics.
struct Landing<K: Eq + Hash, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn everybody_gets_the_result_of_one_run() {
        let (flights, runs) = (
            Arc::new(SingleFlight::default()),
            Arc::new(AtomicUsize::new(0)),
        );
        let (release, gate) = oneshot::channel::<()>();
        let gate = gate.shared();
        let ask = || {
            let (flights, runs, gate) = (flights.clone(), runs.clone(), gate.clone());
            async move {
                let work = || async move {
                    let _ = gate.await;
                    runs.fetch_add(1, Ordering::SeqCst)
                };
                flights.run("same", work).await
            }
        };
        let askers = futures::future::join_all((0..10).map(|_| ask()));
        let first = tokio::spawn(askers);
        while flights.flights.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), [Some(0); 10]);
        assert!(flights.flights.lock().is_empty());
        assert_eq!(ask().await, Some(1));
    }

    #[tokio::test]
    async fn work_goes_on_when_the_one_who_asked_is_gone() {
        let flights = SingleFlight::<&str, usize>::default();
        let (release, gate) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel::<()>();
        let work = async move {
            let _ = gate.await;
            let _ = done.send(());
            1
        };
        let mut asker = Box::pin(flights.run("same", || work));
        assert!(futures::poll!(&mut asker).is_pending());
        drop(asker);
        release.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn work_that_panics_is_no_longer_under_way() {
        let flights = SingleFlight::<&str, usize>::default();
        let nothing = [0_usize; 0];
        let broken = flights
            .run(
                "same",
                || async move { nothing.iter().copied().max().unwrap() },
            )
            .await;
        assert_eq!(broken, None);
        assert_eq!(flights.run("same", || async { 2 }).await, Some(2));
    }
}
