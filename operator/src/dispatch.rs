//! Carries plans to the streams: first who may do what, then what is to be done.
//!
//! A runtime that gets an assignment fetches its code and opens its stores at once; builder and store must know by
//! then that it may, and the runtime where the stores are.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shoal_plan::PodInstruction;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::classes::ClassBook;
use crate::streams::grants::GrantBook;
use crate::streams::hub::Hub;
use crate::world::World;

/// Messages that may wait; the planner waits when there are more.
pub const WAITING: usize = 256;
/// Grants are sent at most this often.
const COALESCE: Duration = Duration::from_millis(50);
/// Runtimes wait no longer than this for builder and store to be told.
const PATIENCE: Duration = Duration::from_millis(200);
/// And no longer than this for the credentials of their StoreClasses to be read.
const SECRETS_WITHIN: Duration = Duration::from_secs(1);

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
    classes: Arc<ClassBook>,
) {
    let mut last = Instant::now();
    while let Some(first) = incoming.recv().await {
        tokio::time::sleep_until(last + COALESCE).await;
        let mut batch = Batch::default();
        batch.add(first);
        while let Ok(more) = incoming.try_recv() {
            batch.add(more);
        }
        batch.carry(&world, &hub, &grants, &classes).await;
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

    async fn carry(&mut self, world: &World, hub: &Hub, book: &GrantBook, classes: &ClassBook) {
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
        let needed = self.classes_needed(world, classes).await;
        hub.tell_classes_before(&needed, classes);
        hub.instruct(std::mem::take(&mut self.instructions));
        for pod in waiting {
            let all = world.with(|index| index.node_assignments(&pod));
            hub.tell_all(&pod, &all);
        }
        hub.tell_classes_after(&needed, classes);
        hub.tell_drained();
    }

    /// Classes that the pods need, once they are known.
    async fn classes_needed(
        &self,
        world: &World,
        classes: &ClassBook,
    ) -> BTreeMap<Arc<str>, BTreeSet<String>> {
        let pods = self.pods.iter();
        let needed: BTreeMap<_, _> = world.with(|index| {
            pods.map(|pod| (pod.clone(), index.pod_classes(pod)))
                .collect()
        });
        let all = needed.values().flatten().cloned().collect();
        classes.wait_for(&all, SECRETS_WITHIN).await;
        needed
    }
}
