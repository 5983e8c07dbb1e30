//! The code that answers a request: mapped already, or by its first request.

use std::{sync::Arc, time::Instant};

use super::Refusal;
use crate::{
    app::{App, Component},
    code::{CodeError, Prepared},
};

/// The code of `component`; where it is not mapped, waits until it is.
pub(super) async fn of(
    app: &App,
    component: &Component,
    now: Instant,
) -> Result<Arc<Prepared>, Refusal> {
    if let Some(mapped) = component.code.mapped(now) {
        return Ok(mapped);
    }
    app.metrics.cold_start();
    let code = Arc::clone(&component.code);
    // A task of its own: it is done for the next request, should this one's client leave.
    let mapped = tokio::spawn(async move { code.map().await }).await;
    match mapped {
        Ok(Ok(mapped)) => Ok(mapped),
        Ok(Err(error)) => {
            tell(app, component, &error);
            Err(Refusal::NoCode)
        }
        Err(_) => Err(Refusal::Internal),
    }
}

fn tell(app: &App, component: &Component, error: &CodeError) {
    if let Some(left_out) = app.trap_log.write(Instant::now()) {
        let name = app.name();
        tracing::warn!(app = %name, component = component.name, %error, left_out, "no code for a request");
    }
    // Room comes with the next request that ends; anything else is the app's state.
    if !matches!(error, CodeError::NoRoom { .. }) {
        app.code_lost.notify_one();
    }
}
