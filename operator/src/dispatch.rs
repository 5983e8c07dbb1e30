//! Carries plans to the streams: first who may do what, then what is to be done.
//!
//! A runtime that gets an assignment fetches its code and opens its stores at once; builder and store must know by
//! then that it may.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shoal_plan::PodInstruction;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::streams::grants::GrantBook;
use crate::streams::hub::Hub;
use crate::world::World;

/// Messages that may wait; the planner waits when there are more.
pub const WAITING: usize = 256;
/// Grants are sent at most this often.
const COALESCE: Duration = Duration::from_millis(50);
/// Runtimes wait no longer than this for builder and store to be told.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the planner has for the streams.
#[derive(Debug)]
pub enum Dispatch {
    /// Some Apps were planned.
    Planned {
        /// What pods are to do.
        instructions: Vec<PodInstruction>,
        /// Pods whose grants changed.
        grants_changed: BTreeSet<Arc<str>>,
    },
    /// All Apps that had changed are planned: who waits for everything gets it.
    Settled,
}

/// Carries what comes, until the planner is gone.
pub async fn run(
    mut incoming: mpsc::Receiver<Dispatch>,
    world: Arc<World>,
    hub: Arc<Hub>,
    grants: Arc<GrantBook>,
) {
    let mut last = Instant::now();
    while let Some(first) = incoming.recv().await {
        tokio::time::sleep_until(last + COALESCE).await;
        let mut batch = Batch::default();
        batch.add(first);
        while let Ok(more) = incoming.try_recv() {
            batch.add(more);
        }
        batch.carry(&world, &hub, &grants).await;
        if batch.changed_grants {
            last = Instant::now();
        }
    }
}

#[derive(Default)]
struct Batch {
    instructions: Vec<PodInstruction>,
    pods: BTreeSet<Arc<str>>,
    settled: bool,
    changed_grants: bool,
}

impl Batch {
    fn add(&mut self, dispatch: Dispatch) {
        match dispatch {
            Dispatch::Planned {
                instructions,
                grants_changed,
            } => {
                self.instructions.extend(instructions);
                self.pods.extend(grants_changed);
            }
            Dispatch::Settled => self.settled = true,
        }
    }

    async fn carry(&mut self, world: &World, hub: &Hub, book: &GrantBook) {
        let waiting = if self.settled {
            hub.waiting()
        } else {
            Vec::new()
        };
        self.pods.extend(waiting.iter().cloned());
        let changed: Vec<_> = world.with(|index| {
            self.pods
                .iter()
                .map(|pod| (pod.clone(), index.pod_grants(pod)))
                .collect()
        });
        let known: HashSet<Arc<str>> = world.pod_uids().into_iter().collect();
        self.changed_grants = !changed.is_empty();
        book.update(changed, |pod| known.contains(pod));
        if self.changed_grants {
            book.sent(PATIENCE).await;
        }
        hub.instruct(std::mem::take(&mut self.instructions));
        for pod in waiting {
            let all = world.with(|index| index.node_assignments(&pod));
            hub.tell_all(&pod, &all);
        }
        hub.tell_drained();
    }
}
