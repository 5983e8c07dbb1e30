//! What one store pod has not been told yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use shoal_plan::StoreDuty;
use shoal_protocol::v1::{self, ToHousekeeper, to_housekeeper::Message};
use tokio::sync::{Notify, mpsc};
use tonic::Status;

use super::Housekeeping;

/// Stores of one message.
const AT_ONCE: usize = 1000;
/// A store pod that does not take a message for this long has to connect again.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Default)]
pub(super) struct Session {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    all: bool,
    changed: BTreeSet<String>,
}

/// The store pod reads no more.
struct Gone;

/// Epoch, names and versions of classes, and names of those that it was to keep.
type Told = (u64, (BTreeMap<String, u64>, BTreeSet<String>));
type Outgoing = mpsc::Sender<Result<ToHousekeeper, Status>>;

impl Session {
    /// Everything is to be told.
    pub(super) fn all(&self) {
        let mut waiting = self.waiting.lock();
        waiting.all = true;
        waiting.changed.clear();
        self.more.notify_one();
    }

    /// These Stores are to be told.
    pub(super) fn changed(&self, ids: &BTreeSet<String>) {
        let mut waiting = self.waiting.lock();
        if !waiting.all {
            waiting.changed.extend(ids.iter().cloned());
            self.more.notify_one();
        }
    }

    /// Tells what there is to tell, until the store pod is gone.
    pub(super) async fn speak(&self, of: &Housekeeping, outgoing: &Outgoing) {
        let mut looked = of.classes.looked();
        let mut told = None;
        loop {
            looked.borrow_and_update();
            match of.epoch() {
                Some(epoch) => {
                    let speaker = Speaker {
                        of,
                        epoch,
                        outgoing,
                    };
                    if self.tell(&speaker, &mut told).await.is_err() {
                        return;
                    }
                }
                None => told = None,
            }
            tokio::select! {
                () = self.more.notified() => {}
                _ = looked.changed() => {}
                () = outgoing.closed() => return,
            }
        }
    }

    /// `told`: what it was told of classes last.
    async fn tell(&self, speaker: &Speaker<'_>, told: &mut Option<Told>) -> Result<(), Gone> {
        if let Some(classes) = speaker.of.classes.all() {
            let now = Some((speaker.epoch, classes.versions()));
            if *told != now {
                speaker.say(Message::StoreClasses(classes.into())).await?;
                *told = now;
            }
        }
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if waiting.all {
            let duties = speaker.of.world.with(|index| index.store_duties());
            return speaker.all(duties).await;
        }
        let ids: Vec<String> = waiting.changed.into_iter().collect();
        for ids in ids.chunks(AT_ONCE) {
            speaker.changes(ids).await?;
        }
        Ok(())
    }
}

struct Speaker<'a> {
    of: &'a Housekeeping,
    epoch: u64,
    outgoing: &'a Outgoing,
}

impl Speaker<'_> {
    async fn say(&self, message: Message) -> Result<(), Gone> {
        let message = ToHousekeeper {
            epoch: self.epoch,
            message: Some(message),
        };
        let sent = self.outgoing.send_timeout(Ok(message), READ_DEADLINE);
        sent.await.map_err(|_| Gone)
    }

    async fn all(&self, duties: Vec<StoreDuty>) -> Result<(), Gone> {
        let count = duties.len().div_ceil(AT_ONCE).max(1);
        for number in 0..count {
            let chunk = duties.iter().skip(number * AT_ONCE).take(AT_ONCE);
            self.say(Message::Duties(v1::Duties {
                begins: number == 0,
                ends: number + 1 == count,
                set: chunk.map(wire).collect(),
                removed: Vec::new(),
            }))
            .await?;
        }
        self.purges(&duties).await
    }

    async fn changes(&self, ids: &[String]) -> Result<(), Gone> {
        let (mut duties, mut removed) = (Vec::new(), Vec::new());
        self.of.world.with(|index| {
            for id in ids {
                match index.store_duty(id) {
                    Some(duty) => duties.push(duty),
                    None => removed.push(id.clone()),
                }
            }
        });
        self.say(Message::Duties(v1::Duties {
            begins: false,
            ends: false,
            set: duties.iter().map(wire).collect(),
            removed,
        }))
        .await?;
        self.purges(&duties).await
    }

    async fn purges(&self, duties: &[StoreDuty]) -> Result<(), Gone> {
        for duty in duties.iter().filter(|duty| duty.purge) {
            self.say(Message::Purge(v1::Purge {
                store_id: duty.id.clone(),
                class: duty.class.clone(),
            }))
            .await?;
        }
        Ok(())
    }
}

fn wire(duty: &StoreDuty) -> v1::Duty {
    v1::Duty {
        store_id: duty.id.clone(),
        class: duty.class.clone(),
        namespace: duty.namespace.clone(),
        app: duty.app.clone(),
        label: duty.label.clone(),
        interface: duty.interface.as_str().to_owned(),
    }
}
