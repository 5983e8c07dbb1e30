//! Between the wire and the planner's own types. What comes from a runtime is bounded here.

use std::sync::Arc;

use shoal_crds::store_class::is_place_id;
use shoal_plan::{
    AppRef, AppReport, Assignment, ClassHealth, Component, Limits, ReportState, Role, StoreBinding,
};
use shoal_protocol::v1;

/// Most apps that one report may name: there are no more ports.
const APPS: usize = shoal_plan::PORTS;
/// Longest name, hash or reason.
const WORD_BYTES: usize = 256;
const MESSAGE_BYTES: usize = 2048;
/// Most classes that one runtime may use.
const CLASSES: usize = 1000;

/// What is wrong with a message of a runtime.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Too much of something.
    #[error("{0} is longer than {1}")]
    TooLong(&'static str, usize),
    /// A required part is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
}

fn word(text: String, what: &'static str) -> Result<String, Malformed> {
    if text.len() > WORD_BYTES {
        return Err(Malformed::TooLong(what, WORD_BYTES));
    }
    Ok(text)
}

fn app_ref(app: v1::AppRef) -> Result<AppRef, Malformed> {
    Ok(AppRef {
        namespace: word(app.namespace, "namespace")?,
        name: word(app.name, "name")?,
        uid: word(app.uid, "uid")?,
    })
}

/// The words of a Hello.
pub fn hello(hello: v1::Hello) -> Result<shoal_plan::Hello, Malformed> {
    let engine_key = word(hello.engine_key, "engine_key")?;
    if engine_key.is_empty() {
        return Err(Malformed::Missing("engine_key"));
    }
    Ok(shoal_plan::Hello { engine_key })
}

/// The reports and the removed apps of a Report.
pub fn report(report: v1::Report) -> Result<(Vec<AppReport>, Vec<AppRef>), Malformed> {
    if report.apps.len() > APPS || report.removed.len() > APPS {
        return Err(Malformed::TooLong("a report", APPS));
    }
    let apps = report
        .apps
        .into_iter()
        .map(app_report)
        .collect::<Result<_, _>>()?;
    let removed = report
        .removed
        .into_iter()
        .map(app_ref)
        .collect::<Result<_, _>>()?;
    Ok((apps, removed))
}

fn app_report(report: v1::AppReport) -> Result<AppReport, Malformed> {
    let state = match report.state() {
        v1::app_report::State::Ready => ReportState::Ready,
        v1::app_report::State::Standby => ReportState::Standby,
        v1::app_report::State::Failed => ReportState::Failed,
        v1::app_report::State::Fetching | v1::app_report::State::Unspecified => {
            ReportState::Fetching
        }
    };
    Ok(AppReport {
        app: app_ref(report.app.ok_or(Malformed::Missing("app"))?)?,
        generation: word(report.generation, "generation")?,
        serving_revision: word(report.serving_revision, "serving_revision")?,
        state,
        reason: word(report.reason, "reason")?,
        message: shorten(report.message),
    })
}

/// What a runtime says of its classes.
pub fn store_health(health: v1::StoreHealth) -> Result<Vec<ClassHealth>, Malformed> {
    if health.classes.len() > CLASSES {
        return Err(Malformed::TooLong("a StoreHealth", CLASSES));
    }
    let one = |one: v1::ClassHealth| {
        Ok(ClassHealth {
            class: word(one.class, "class")?,
            reachable: one.reachable,
            reason: word(one.reason, "reason")?,
            message: shorten(one.message),
            place: Some(word(one.place, "place")?).filter(|place| is_place_id(place)),
        })
    };
    health.classes.into_iter().map(one).collect()
}

/// App, reason and message of a notice.
pub fn notice(notice: v1::Notice) -> Result<(AppRef, String, String), Malformed> {
    let app = app_ref(notice.app.ok_or(Malformed::Missing("app"))?)?;
    let reason = word(notice.reason, "reason")?;
    Ok((app, reason, shorten(notice.message)))
}

/// A message is for people: its end may go.
fn shorten(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    message
}

/// An app's name for the wire.
pub fn wire_ref(app: &AppRef) -> v1::AppRef {
    v1::AppRef {
        namespace: app.namespace.clone(),
        name: app.name.clone(),
        uid: app.uid.clone(),
    }
}

/// An assignment for the wire.
pub fn wire_assignment(assignment: &Arc<Assignment>) -> v1::Assignment {
    let role = match assignment.role {
        Role::Serve => v1::assignment::Role::Serve,
        Role::Drain => v1::assignment::Role::Drain,
    };
    v1::Assignment {
        app: Some(wire_ref(&assignment.app)),
        revision: assignment.revision.clone(),
        generation: assignment.generation.clone(),
        port: assignment.port.into(),
        components: assignment.components.iter().map(wire_component).collect(),
        limits: Some(wire_limits(&assignment.limits)),
        role: role.into(),
    }
}

fn wire_component(component: &Component) -> v1::Component {
    v1::Component {
        name: component.name.clone(),
        digest: component.digest.clone(),
        routes: component.routes.clone(),
        env: component.env.clone().into_iter().collect(),
        stores: component.stores.iter().map(wire_store).collect(),
        variables: component.variables.clone().into_iter().collect(),
    }
}

fn wire_store(store: &StoreBinding) -> v1::StoreBinding {
    v1::StoreBinding {
        label: store.label.clone(),
        interface: store.interface.clone(),
        store_id: store.store_id.clone(),
        class: store.class.clone(),
        nodes: store.nodes,
    }
}

fn wire_limits(limits: &Limits) -> v1::Limits {
    v1::Limits {
        memory_bytes: limits.memory_bytes,
        instance_memory_bytes: limits.instance_memory_bytes,
        concurrency: limits.concurrency,
        request_body_bytes: limits.request_body_bytes,
        response_start_ms: limits.response_start_ms,
        idle_ms: limits.idle_ms,
        cpu_millis: limits.cpu_millis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_an_endless_name_is_refused() {
        let apps = vec![v1::AppReport {
            app: Some(v1::AppRef {
                name: "a".repeat(1000),
                ..Default::default()
            }),
            ..Default::default()
        }];
        assert!(
            report(v1::Report {
                full: true,
                apps,
                removed: Vec::new()
            })
            .is_err()
        );
    }

    #[test]
    fn a_report_about_no_app_is_refused() {
        let apps = vec![v1::AppReport::default()];
        assert!(
            report(v1::Report {
                full: true,
                apps,
                removed: Vec::new()
            })
            .is_err()
        );
    }

    #[test]
    fn what_a_runtime_says_of_classes_and_apps_is_bounded() {
        let class = |name: &str| v1::ClassHealth {
            class: name.to_owned(),
            message: "x".repeat(10 * MESSAGE_BYTES),
            ..Default::default()
        };
        let health = |classes| store_health(v1::StoreHealth { classes });
        assert!(health(vec![class("pg"); CLASSES + 1]).is_err());
        assert!(health(vec![class(&"p".repeat(1000))]).is_err());
        let told = health(vec![class("pg")]).unwrap();
        assert_eq!(told[0].message.len(), MESSAGE_BYTES);
        let place = |place: &str| {
            let mut class = class("pg");
            class.place = place.to_owned();
            health(vec![class]).unwrap().remove(0).place
        };
        assert_eq!(
            place("00000000000000aa").as_deref(),
            Some("00000000000000aa")
        );
        for no_id in ["", "of a later version", "00000000000000AA"] {
            assert_eq!(place(no_id), None, "{no_id}");
        }
        assert!(notice(v1::Notice::default()).is_err(), "of no app");
        let told = notice(v1::Notice {
            app: Some(v1::AppRef::default()),
            reason: "StoreUnusable".into(),
            message: "x".repeat(10 * MESSAGE_BYTES),
        });
        assert_eq!(told.unwrap().2.len(), MESSAGE_BYTES);
    }

    #[test]
    fn a_long_message_is_cut_and_the_report_counts() {
        let apps = vec![v1::AppReport {
            app: Some(v1::AppRef::default()),
            message: "ü".repeat(5000),
            ..Default::default()
        }];
        let (apps, _) = report(v1::Report {
            full: true,
            apps,
            removed: Vec::new(),
        })
        .unwrap();
        assert!(apps[0].message.len() <= MESSAGE_BYTES);
    }
}
