//! Between the builder's messages and the planner's types.

use std::time::Duration;

use shoal_crds::{Interface, Reason};
use shoal_plan::{ComponentDescription, Description, Label, Refusal};
use shoal_protocol::v1;
use tonic::{Code, Request, Status};

use super::Outcome;

pub(super) fn timed<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// An error of the call itself. Only that nobody answers is not the App's business.
pub(super) fn judge<T>(status: &Status, slow: Reason, deadline: Duration) -> Outcome<T> {
    let refusal = |reason: Reason, message: String| {
        let reason = reason.to_string();
        Outcome::Answer(Err(Refusal {
            reason,
            message,
            retry_after_seconds: 10,
        }))
    };
    match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => {
            refusal(slow, format!("no answer within {} s", deadline.as_secs()))
        }
        Code::Unavailable | Code::Unknown | Code::Unauthenticated | Code::PermissionDenied => {
            Outcome::Unavailable(status.message().to_owned())
        }
        _ => refusal(
            Reason::BuilderUnavailable,
            format!("the builder failed: {}", status.message()),
        ),
    }
}

pub(super) fn plan_refusal(refusal: v1::Refusal) -> Refusal {
    Refusal {
        reason: refusal.reason,
        message: refusal.message,
        retry_after_seconds: refusal.retry_after_seconds,
    }
}

pub(super) fn plan_description(description: v1::Description) -> Description {
    let component = |component: v1::ComponentDescription| ComponentDescription {
        name: component.name,
        digest: component.digest,
        routes: component.routes,
        env: component.env.into_iter().collect(),
        labels: of_interface(Interface::KeyValue, component.key_value_stores)
            .chain(of_interface(Interface::Sql, component.sqlite_databases))
            .chain(of_interface(Interface::Blob, component.blob_stores))
            .collect(),
        variables: component.variables.into_iter().collect(),
    };
    let variable =
        |(name, declared): (String, v1::VariableDeclaration)| (name, declared.default_value);
    Description {
        components: description.components.into_iter().map(component).collect(),
        variables: description.variables.into_iter().map(variable).collect(),
    }
}

fn of_interface(interface: Interface, labels: Vec<String>) -> impl Iterator<Item = Label> {
    labels.into_iter().map(move |label| (interface, label))
}
