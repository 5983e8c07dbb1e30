//! Reports as the stream carries them.

use shoal_protocol::v1::{self, app_report};

use crate::{
    assignment::AppRef,
    report::{AppReport, Changes, State},
    stores::{ClassHealth, Notice, Standing},
};

/// Longest message of a report, in bytes.
const MESSAGE_BYTES: usize = 4096;

pub(super) fn full(reports: Vec<AppReport>) -> v1::Report {
    v1::Report {
        full: true,
        apps: reports.into_iter().map(report).collect(),
        removed: Vec::new(),
    }
}

pub(super) fn changes(changes: Changes) -> v1::Report {
    v1::Report {
        full: false,
        apps: changes.reports.into_iter().map(report).collect(),
        removed: changes.removed.into_iter().map(app_ref).collect(),
    }
}

fn report(report: AppReport) -> v1::AppReport {
    let state = match report.state {
        State::Fetching => app_report::State::Fetching,
        State::Ready => app_report::State::Ready,
        State::Standby => app_report::State::Standby,
        State::Failed => app_report::State::Failed,
    };
    v1::AppReport {
        app: Some(app_ref(report.app)),
        generation: report.generation,
        serving_revision: report.serving_revision.unwrap_or_default(),
        state: state.into(),
        reason: report
            .reason
            .map(|reason| reason.to_string())
            .unwrap_or_default(),
        message: cut(report.message),
    }
}

pub(super) fn health(health: &ClassHealth) -> v1::StoreHealth {
    let class = |(class, health): (&String, &Standing)| {
        let (class, fault) = (class.clone(), health.as_ref().err());
        let place = health.as_ref().ok().copied().flatten();
        v1::ClassHealth {
            class,
            reachable: fault.is_none(),
            reason: fault.map(|f| f.reason.to_string()).unwrap_or_default(),
            message: fault.map(|f| cut(f.message.clone())).unwrap_or_default(),
            place: place.map(|place| place.to_string()).unwrap_or_default(),
        }
    };
    v1::StoreHealth {
        classes: health.iter().map(class).collect(),
    }
}

pub(super) fn notice(notice: Notice) -> v1::Notice {
    v1::Notice {
        app: Some(app_ref(notice.app)),
        reason: notice.reason.to_string(),
        message: cut(notice.message),
    }
}

fn cut(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    message
}

fn app_ref(app: AppRef) -> v1::AppRef {
    v1::AppRef {
        namespace: app.namespace,
        name: app.name,
        uid: app.uid,
    }
}
