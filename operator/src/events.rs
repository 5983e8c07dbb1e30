//! Kubernetes Events: what a person would want to know, and no more often than they can read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{debug, warn};

const QUIET: Duration = Duration::from_secs(300);
const REMEMBERED: usize = 4096;
const WAITING: usize = 256;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest `note` that the API server takes.
const NOTE_BYTES: usize = 1024;
/// What a note ends with that was longer.
const CUT: &str = "...";

/// Something worth telling about an object.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The object it is about; `namespace`, `name`, `uid`, `kind` and `apiVersion` set.
    pub about: ObjectReference,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub note: String,
    /// It is told however often it happens.
    pub every_time: bool,
}

/// Lets one notice per object and reason through every five minutes.
#[derive(Default)]
pub struct Throttle {
    last: HashMap<(String, String), Instant>,
    order: VecDeque<((String, String), Instant)>,
}

impl Throttle {
    /// Whether a notice about `uid` for `reason` may be sent now.
    pub fn admit(&mut self, uid: &str, reason: &str, now: Instant) -> bool {
        self.forget(now);
        let key = (uid.to_owned(), reason.to_owned());
        if self.last.contains_key(&key) {
            return false;
        }
        self.last.insert(key.clone(), now);
        self.order.push_back((key, now));
        true
    }

    fn forget(&mut self, now: Instant) {
        while let Some((key, since)) = self.order.front() {
            let old = now.duration_since(*since) >= QUIET;
            if !old && self.order.len() < REMEMBERED {
                return;
            }
            self.last.remove(key);
            self.order.pop_front();
        }
    }
}

/// Where notices go; never waits, and drops what cannot be sent.
#[derive(Clone)]
pub struct Events {
    /// What people did: nothing else takes its room.
    deeds: mpsc::Sender<Notice>,
    others: mpsc::Sender<Notice>,
    throttle: Arc<Mutex<Throttle>>,
}

/// Notices that are to be written.
pub struct Told {
    deeds: mpsc::Receiver<Notice>,
    others: mpsc::Receiver<Notice>,
}

impl Events {
    /// The sender, and what it feeds: run it with [`publish`].
    pub fn new() -> (Self, Told) {
        let (deeds, told_deeds) = mpsc::channel(WAITING);
        let (others, told_others) = mpsc::channel(WAITING);
        let events = Self {
            deeds,
            others,
            throttle: Arc::default(),
        };
        let told = Told {
            deeds: told_deeds,
            others: told_others,
        };
        (events, told)
    }

    /// Queues a notice, or drops it when the like was told a moment ago or too many wait.
    pub fn tell(&self, notice: Notice) {
        let queue = if notice.every_time {
            &self.deeds
        } else {
            let uid = notice.about.uid.as_deref().unwrap_or_default();
            if !self
                .throttle
                .lock()
                .admit(uid, &notice.reason, Instant::now())
            {
                return;
            }
            &self.others
        };
        if let Err(TrySendError::Full(notice)) = queue.try_send(notice) {
            warn!(
                reason = notice.reason,
                namespace = notice.about.namespace,
                name = notice.about.name,
                "an Event was dropped: too many wait"
            );
        }
    }
}

impl Told {
    async fn next(&mut self) -> Option<Notice> {
        tokio::select! {
            biased;
            Some(deed) = self.deeds.recv() => Some(deed),
            Some(other) = self.others.recv() => Some(other),
            else => None,
        }
    }
}

/// Writes Events until every [`Events`] is gone.
pub async fn publish(client: kube::Client, reporter: String, mut told: Told) {
    while let Some(notice) = told.next().await {
        let namespace = notice.about.namespace.clone();
        // Of what is in no namespace the API server takes Events there.
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let event = event(notice, &namespace, &reporter);
        let parameters = PostParams::default();
        let request = api.create(&parameters, &event);
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(%error, "an Event was not written"),
            Err(_) => debug!("an Event was not written: no answer in time"),
        }
    }
}

fn event(notice: Notice, namespace: &str, reporter: &str) -> Event {
    let name = notice.about.name.clone().unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            // A dot at the end would be more usual; the API server refuses it.
            generate_name: Some(format!("{name}-")),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some(notice.reason.clone()),
        event_time: Some(MicroTime(k8s_openapi::jiff::Timestamp::now())),
        note: Some(shorten(notice.note)),
        reason: Some(notice.reason),
        regarding: Some(notice.about),
        reporting_controller: Some("shoal.dev/operator".into()),
        reporting_instance: Some(reporter.to_owned()),
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.into()),
        ..Event::default()
    }
}

fn shorten(mut note: String) -> String {
    if note.len() > NOTE_BYTES {
        note.truncate(note.floor_char_boundary(NOTE_BYTES - CUT.len()));
        note.push_str(CUT);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_of_one_object_is_told_once_in_five_minutes() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        assert!(throttle.admit("a", "BuildFailed", start));
        assert!(!throttle.admit("a", "BuildFailed", start + QUIET / 2));
        assert!(throttle.admit("a", "Degraded", start + QUIET / 2));
        assert!(throttle.admit("b", "BuildFailed", start + QUIET / 2));
        assert!(throttle.admit("a", "BuildFailed", start + QUIET));
    }

    #[test]
    fn the_memory_of_the_throttle_is_bounded() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for n in 0..REMEMBERED * 2 {
            assert!(throttle.admit(&n.to_string(), "Same", now));
        }
        assert!(throttle.last.len() <= REMEMBERED);
        assert_eq!(throttle.last.len(), throttle.order.len());
    }

    #[test]
    fn what_people_did_is_told_whatever_else_is() {
        let notice = |uid: usize, every_time| Notice {
            about: ObjectReference {
                uid: Some(uid.to_string()),
                ..ObjectReference::default()
            },
            warning: false,
            reason: "Exported".into(),
            note: String::new(),
            every_time,
        };
        let (events, mut told) = Events::new();
        for uid in 0..WAITING * 2 {
            events.tell(notice(uid, false));
        }
        events.tell(notice(0, true));
        events.tell(notice(0, true));
        assert!(told.deeds.try_recv().is_ok());
        assert!(told.deeds.try_recv().is_ok());
        assert_eq!(told.others.len(), WAITING);
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let note = shorten("é".repeat(1000));
        assert!(note.len() <= NOTE_BYTES);
        assert!(note.ends_with("..."));
    }
}
