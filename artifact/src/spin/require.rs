//! Refusals of what a Spin app may ask for and this version does not serve, by exact name.

use crate::{Reason, Refusal, Route};

/// Refuses a feature of a component or of the app.
pub(super) fn refuse(subject: &str, feature: &str) -> Refusal {
    Refusal::new(
        Reason::UnsupportedFeature,
        format!("{subject} needs `{feature}`, which this version does not serve"),
    )
}

/// `Ok` where the feature is not asked for.
pub(super) fn absent(subject: &str, feature: &str, asked: bool) -> Result<(), Refusal> {
    if asked {
        Err(refuse(subject, feature))
    } else {
        Ok(())
    }
}

/// Only triggers of type `http` are served.
pub(super) fn http_trigger(trigger_type: &str) -> Result<(), Refusal> {
    if trigger_type == "http" {
        return Ok(());
    }
    let message = format!(
        "the app has a trigger of type `{trigger_type}`, which this version does not serve; it \
         serves `http`"
    );
    Err(Refusal::new(Reason::UnsupportedFeature, message))
}

/// Only the base path `/` is served: it is what Spin writes when none is given.
pub(super) fn base_path(base: Option<&str>) -> Result<(), Refusal> {
    match base {
        None | Some("/") => Ok(()),
        Some(base) => Err(refuse("the app", &format!("base = \"{base}\""))),
    }
}

/// Only the executor `http` is served, which is the default.
pub(super) fn executor(subject: &str, executor: Option<&str>) -> Result<(), Refusal> {
    match executor {
        None | Some("http" | "spin") => Ok(()),
        Some(other) => Err(refuse(subject, &format!("executor = \"{other}\""))),
    }
}

/// Reads the route of a trigger.
pub(super) fn route(subject: &str, text: &str) -> Result<Route, Refusal> {
    text.parse()
        .map_err(|error| Refusal::new(Reason::InvalidRoute, format!("{subject}: {error}")))
}

/// A manifest that is wrong in itself.
pub(super) fn invalid(message: String) -> Refusal {
    Refusal::new(Reason::UnsupportedArtifact, message)
}
