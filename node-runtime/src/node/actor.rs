//! One app's life on the node: prepared beside what serves, then swapped in.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt as _;
use shoal_crds::Reason;
use tokio::sync::watch;

use super::{apps::Apps, backoff::Backoff};
use crate::{
    app::{App, Revision},
    assignment::{Assignment, Role},
    code::{CodeCache, CodeError, ComponentCode},
    listener::{Listener, Serving},
    report::{AppReport, ReportHub, State},
};

/// What the node wants of an app.
#[derive(Clone)]
pub(super) enum Wanted {
    /// Be this.
    Assignment(Arc<Assignment>),
    /// Go, leaving the port open a little longer.
    Nothing,
    /// Close the port at once: the process ends.
    Closed,
}

impl Wanted {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Assignment(a), Self::Assignment(b)) => a.generation == b.generation,
            _ => false,
        }
    }
}

/// Carries out what is wanted of one app, one thing after the other.
pub(super) struct Actor {
    pub(super) apps: Weak<Apps>,
    pub(super) app: Arc<App>,
    pub(super) code: Arc<CodeCache>,
    pub(super) reports: Arc<ReportHub>,
    pub(super) serving: Serving,
    pub(super) linger: Duration,
    pub(super) listener: Option<Listener>,
}

/// Why an app is not as it is wanted.
struct Problem {
    state: State,
    reason: Reason,
    message: String,
    /// It may pass by itself.
    again: bool,
}

impl Actor {
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<Wanted>) {
        loop {
            let now = wanted.borrow_and_update().clone();
            match now {
                Wanted::Assignment(assignment) => {
                    tokio::select! {
                        // Boxed: what it takes is not kept for as long as the app is there.
                        () = Box::pin(self.become_(&assignment)) => {}
                        // Something else is wanted before this is done.
                        changed = wanted.changed() => match changed {
                            Ok(()) => continue,
                            Err(_) => break,
                        },
                    }
                    tokio::select! {
                        changed = wanted.changed() => if changed.is_err() { break },
                        // Tried again, and told if it is so.
                        () = self.app.code_lost.notified() => {}
                    }
                }
                Wanted::Nothing => {
                    self.app.draining.store(true, Ordering::Relaxed);
                    tokio::select! {
                        () = tokio::time::sleep(self.linger) => {}
                        changed = wanted.changed() => match changed {
                            Ok(()) => continue,
                            Err(_) => break,
                        },
                    }
                    self.close().await;
                    let retired = self
                        .apps
                        .upgrade()
                        .is_none_or(|a| a.retire(&self.app, &wanted));
                    if retired {
                        return;
                    }
                }
                Wanted::Closed => break,
            }
        }
        self.close().await;
    }

    /// Closes the port; requests that are being answered go on.
    async fn close(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.close().await;
        }
    }

    /// Tries until the app is as assigned, or cannot be.
    async fn become_(&mut self, assignment: &Assignment) {
        self.app
            .draining
            .store(assignment.role == Role::Drain, Ordering::Relaxed);
        let mut backoff = Backoff::default();
        if !self.serves(assignment) {
            self.report(
                assignment,
                State::Fetching,
                Some(Reason::Fetching),
                String::new(),
            );
        }
        loop {
            let attempt = AssertUnwindSafe(self.attempt(assignment)).catch_unwind();
            let Err(problem) = attempt.await.unwrap_or_else(|_| Err(panicked())) else {
                return;
            };
            let Problem {
                state,
                reason,
                message,
                again,
            } = problem;
            tracing::warn!(app = %assignment.app, %reason, message, again, "the app is not ready");
            self.report(assignment, state, Some(reason), message);
            if !again {
                return;
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn attempt(&mut self, assignment: &Assignment) -> Result<(), Problem> {
        if assignment.role == Role::Standby {
            for component in &assignment.components {
                let kept = self.code.keep(&component.digest).await;
                kept.map_err(|error| problem(&component.name, &error))?;
            }
            self.close().await;
            self.app.serving.store(None);
            self.report(assignment, State::Standby, None, String::new());
            return Ok(());
        }
        let code = self.prepare(assignment).await?;
        let revision = Revision::new(&self.app, assignment, code).map_err(|error| Problem {
            state: State::Failed,
            reason: Reason::InvalidRoute,
            message: error.to_string(),
            again: false,
        })?;
        self.app.share.set_weight(assignment.limits.cpu);
        let moved = self
            .listener
            .as_ref()
            .is_some_and(|l| l.port() != assignment.port);
        if self.listener.is_none() || moved {
            let opened = Listener::open(assignment, &self.app, &self.serving);
            let listener = opened.map_err(|error| Problem {
                state: State::Failed,
                reason: Reason::PortUnavailable,
                message: error.to_string(),
                again: true,
            })?;
            // Before the port: a connection finds something that answers.
            self.app.serving.store(Some(Arc::new(revision)));
            self.listener = Some(listener);
        } else {
            self.app.serving.store(Some(Arc::new(revision)));
        }
        self.report(assignment, State::Ready, None, String::new());
        Ok(())
    }

    /// Its code, each part of which was mapped and linked at least once.
    async fn prepare(&self, assignment: &Assignment) -> Result<Vec<Arc<ComponentCode>>, Problem> {
        let mut all = Vec::with_capacity(assignment.components.len());
        for component in &assignment.components {
            let code = self.code.component(&component.digest);
            let mapped = code.map().await;
            mapped.map_err(|error| problem(&component.name, &error))?;
            all.push(code);
        }
        Ok(all)
    }

    fn serves(&self, assignment: &Assignment) -> bool {
        self.app
            .serving
            .load()
            .as_ref()
            .is_some_and(|now| now.id == assignment.revision)
    }

    fn report(&self, of: &Assignment, state: State, reason: Option<Reason>, message: String) {
        let serving = self.app.serving.load();
        self.reports.set(AppReport {
            app: of.app.clone(),
            generation: of.generation.clone(),
            serving_revision: serving.as_ref().map(|revision| revision.id.clone()),
            state,
            reason,
            message,
            address: self.listener.as_ref().map(Listener::address),
        });
    }
}

/// What serves goes on, and the next attempt may find no reason to panic.
fn panicked() -> Problem {
    Problem {
        state: State::Fetching,
        reason: Reason::CodeUnavailable,
        message: "the runtime panicked while it prepared the app; this is a fault of the runtime"
            .into(),
        again: true,
    }
}

fn problem(component: &str, error: &CodeError) -> Problem {
    let (state, reason, again) = match error {
        CodeError::Fetch(_) | CodeError::Disk { .. } | CodeError::Load(_) => {
            (State::Fetching, Reason::CodeUnavailable, true)
        }
        CodeError::NoRoom { .. } => (State::Fetching, Reason::NodeFull, true),
        CodeError::Signature(_) => (State::Failed, Reason::BadSignature, true),
        CodeError::Link(_) => (State::Failed, Reason::LinkFailed, false),
    };
    Problem {
        state,
        reason,
        message: format!("component `{component}`: {error}"),
        again,
    }
}
