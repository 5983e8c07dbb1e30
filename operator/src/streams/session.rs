//! One runtime: its stream, its signs of life, and what it was told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use shoal_plan::{AppRef, Assignment, Instruction, NodeAssignments};
use shoal_protocol::v1::{self, to_runtime::Message};
use tokio::sync::mpsc;
use tonic::Status;

use super::classes::Classes;
use super::convert::{wire_assignment, wire_ref};
use super::silence::Signs;

/// Where messages to a runtime go. Full: the runtime is too slow, and has to connect again.
pub(super) type Outgoing = mpsc::Sender<Result<v1::ToRuntime, Status>>;

/// A runtime that is or was connected, until it is lost.
pub(super) struct Session {
    pub(super) node: String,
    /// Tells this stream of the pod from an earlier one.
    pub(super) serial: u64,
    pub(super) outgoing: Option<Outgoing>,
    pub(super) signs: Signs,
    pub(super) asking: bool,
    /// It has sent its full report.
    pub(super) reported: bool,
    pub(super) draining: bool,
    pub(super) drained_told: bool,
    /// What it was told of StoreClasses.
    pub(super) classes: Classes,
    /// What it was told by this leader; `None`: not yet everything.
    told: Option<HashMap<AppRef, String>>,
}

impl Session {
    pub(super) fn new(node: String, serial: u64, outgoing: Outgoing, now: Instant) -> Self {
        Self {
            node,
            serial,
            outgoing: Some(outgoing),
            signs: Signs {
                open: true,
                heard: now,
                asked: None,
            },
            asking: false,
            reported: false,
            draining: false,
            drained_told: false,
            classes: Classes::default(),
            told: None,
        }
    }

    /// Another leader, another epoch: everything is to be told again.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
        self.classes.forget();
        self.drained_told = false;
    }

    /// Whether it waits for everything that it is to run.
    pub(super) fn wants_all(&self) -> bool {
        self.outgoing.is_some() && self.reported && self.told.is_none()
    }

    /// Whether it gets changes.
    pub(super) fn follows(&self) -> bool {
        self.outgoing.is_some() && self.told.is_some()
    }

    /// The message with everything that it is to run.
    pub(super) fn all(&mut self, all: &NodeAssignments, code_keys: Vec<Bytes>) -> Message {
        let told = all
            .set
            .iter()
            .map(|one| (one.app.clone(), one.generation.clone()));
        let kept = all.keep.iter().map(|app| (app.clone(), String::new()));
        self.told = Some(told.chain(kept).collect());
        Message::Assignments(v1::Assignments {
            full: true,
            set: all.set.iter().map(wire_assignment).collect(),
            removed: Vec::new(),
            code_keys,
            keep: all.keep.iter().map(wire_ref).collect(),
        })
    }

    /// The message with what is new in these instructions; `None`: nothing is, or it does not follow yet.
    pub(super) fn changes(
        &mut self,
        instructions: &[(AppRef, Instruction)],
        code_keys: Vec<Bytes>,
    ) -> Option<Message> {
        let told = self.told.as_mut()?;
        let mut set: HashMap<&AppRef, &Arc<Assignment>> = HashMap::new();
        let mut removed: HashMap<&AppRef, ()> = HashMap::new();
        for (app, instruction) in instructions {
            match instruction {
                Instruction::Assign(assignment) => {
                    if told.get(app) != Some(&assignment.generation) {
                        told.insert(app.clone(), assignment.generation.clone());
                        set.insert(app, assignment);
                        removed.remove(app);
                    }
                }
                Instruction::Stop => {
                    if told.remove(app).is_some() {
                        set.remove(app);
                        removed.insert(app, ());
                    }
                }
                Instruction::Keep => {}
            }
        }
        if set.is_empty() && removed.is_empty() {
            return None;
        }
        Some(Message::Assignments(v1::Assignments {
            full: false,
            set: set.into_values().map(wire_assignment).collect(),
            removed: removed.into_keys().map(wire_ref).collect(),
            code_keys,
            keep: Vec::new(),
        }))
    }

    /// Sends a message, or gives the stream up: a runtime that does not read is not waited for.
    pub(super) fn send(&mut self, epoch: u64, message: Message) {
        let message = v1::ToRuntime {
            epoch,
            message: Some(message),
        };
        let sent = self
            .outgoing
            .as_ref()
            .map(|outgoing| outgoing.try_send(Ok(message)));
        if !matches!(sent, Some(Ok(()))) {
            self.outgoing = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_plan::{Limits, Role};

    fn app(name: &str) -> AppRef {
        AppRef {
            namespace: "shop".into(),
            name: name.into(),
            uid: "u".into(),
        }
    }

    fn assign(name: &str, generation: &str) -> (AppRef, Instruction) {
        let limits = Limits {
            memory_bytes: 1,
            instance_memory_bytes: 1,
            concurrency: 1,
            request_body_bytes: 1,
            response_start_ms: 1,
            idle_ms: 1,
            cpu_millis: 1,
        };
        let assignment = Assignment {
            app: app(name),
            revision: "r".into(),
            generation: generation.into(),
            port: 10_000,
            components: Vec::new(),
            limits,
            role: Role::Serve,
        };
        (app(name), Instruction::Assign(Arc::new(assignment)))
    }

    fn following() -> Session {
        let (sender, _) = mpsc::channel(1);
        let mut session = Session::new("n".into(), 1, sender, Instant::now());
        session.all(&NodeAssignments::default(), Vec::new());
        session
    }

    fn names(message: Option<Message>) -> (Vec<String>, Vec<String>) {
        let Some(Message::Assignments(one)) = message else {
            return Default::default();
        };
        let set = one
            .set
            .into_iter()
            .filter_map(|one| Some(one.app?.name))
            .collect();
        (set, one.removed.into_iter().map(|app| app.name).collect())
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut session = following();
        let told = session.changes(&[assign("a", "1")], Vec::new());
        assert_eq!(names(told).0, ["a"]);
        assert!(session.changes(&[assign("a", "1")], Vec::new()).is_none());
        assert!(session.changes(&[assign("a", "2")], Vec::new()).is_some());
    }

    #[test]
    fn an_app_is_stopped_once_and_only_if_it_was_told() {
        let mut session = following();
        assert!(
            session
                .changes(&[(app("a"), Instruction::Stop)], Vec::new())
                .is_none()
        );
        session.changes(&[assign("a", "1")], Vec::new());
        let stopped = session.changes(&[(app("a"), Instruction::Stop)], Vec::new());
        assert_eq!(names(stopped).1, ["a"]);
        assert!(
            session
                .changes(&[(app("a"), Instruction::Stop)], Vec::new())
                .is_none()
        );
    }

    #[test]
    fn the_last_of_several_instructions_counts() {
        let mut session = following();
        let both = [assign("a", "1"), (app("a"), Instruction::Stop)];
        let (set, removed) = names(session.changes(&both, Vec::new()));
        assert!(set.is_empty());
        assert_eq!(removed, ["a"]);
    }

    #[test]
    fn nothing_is_told_before_everything_is() {
        let (sender, _) = mpsc::channel(1);
        let mut session = Session::new("n".into(), 1, sender, Instant::now());
        assert!(session.changes(&[assign("a", "1")], Vec::new()).is_none());
        assert!(!session.wants_all());
        session.reported = true;
        assert!(session.wants_all());
    }

    #[test]
    fn a_runtime_that_does_not_read_is_disconnected() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut session = Session::new("n".into(), 1, sender, Instant::now());
        session.send(1, Message::Resend(v1::Resend {}));
        assert!(session.outgoing.is_some());
        session.send(1, Message::Resend(v1::Resend {}));
        assert!(session.outgoing.is_none());
    }
}
