//! Between the builder's types and the messages of the protocol.

use shoal_artifact::Refusal;
use shoal_protocol::v1;

use crate::{Description, Source};

/// A refusal as a message.
pub fn refusal_message(refusal: Refusal) -> v1::Refusal {
    let after = refusal
        .retry_after
        .map_or(0, |after| after.as_secs().max(1));
    v1::Refusal {
        reason: refusal.reason.as_str().to_owned(),
        message: refusal.message,
        retry_after_seconds: u32::try_from(after).unwrap_or(u32::MAX),
    }
}

/// A description as a message.
pub fn description_message(description: Description) -> v1::Description {
    let component = |component: crate::ComponentDescription| v1::ComponentDescription {
        name: component.name,
        digest: component.digest.into(),
        routes: component.routes.into_iter().map(String::from).collect(),
        env: component.env.into_iter().collect(),
        key_value_stores: component.key_value_stores,
        sqlite_databases: component.sqlite_databases,
        blob_stores: component.blob_stores,
        imports: component.imports,
        variables: component.variables.into_iter().collect(),
    };
    let variable = |(name, default_value)| (name, v1::VariableDeclaration { default_value });
    v1::Description {
        components: description.components.into_iter().map(component).collect(),
        variables: description.variables.into_iter().map(variable).collect(),
    }
}

pub(super) fn source(message: Option<v1::ImageSource>) -> Source {
    let message = message.unwrap_or_default();
    let registries = message.registries.unwrap_or_default();
    Source {
        image: message.image,
        pull_secrets: message.pull_secrets.into_iter().map(Vec::from).collect(),
        insecure: registries.insecure,
        ca: registries.ca,
    }
}
