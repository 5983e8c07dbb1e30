//! One request: admission, route, instance, response.

mod body;
mod code;
mod exchange;
mod failure;
mod guest;
mod headers;
mod idle;
mod refusal;
mod request_body;
mod request_id;
mod start;
mod trap_log;

use std::{sync::Arc, time::Instant};

use http::{Method, Request, Response, Version, header};
use hyper::body::{Body as _, Incoming};

use crate::{
    app::{App, Permit, Revision, Target},
    metrics::Source,
};

pub(crate) use body::{ResponseBody, TrackedBody};
pub(crate) use headers::{Client, RouteHeaders};
pub(crate) use idle::LazyTimer;
pub(crate) use refusal::Refusal;
pub(crate) use request_id::RequestId;
pub(crate) use trap_log::TrapLog;

/// Answers a request to an app. Never fails: what goes wrong becomes a response.
pub(crate) async fn respond(
    app: Arc<App>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let started = Instant::now();
    let version = request.version();
    let id = Arc::new(RequestId::of(&request));
    let mut response = match serve(&app, &client, request, &id, started).await {
        Ok(response) => response,
        Err(refusal) => {
            app.metrics
                .record(refusal.status(), Source::Runtime, started.elapsed());
            refusal.response(&id)
        }
    };
    if app.is_leaving() && version <= Version::HTTP_11 {
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

async fn serve(
    app: &Arc<App>,
    client: &Client,
    mut request: Request<Incoming>,
    id: &Arc<RequestId>,
    started: Instant,
) -> Result<Response<ResponseBody>, Refusal> {
    let revision = app.serving.load_full().ok_or(Refusal::NotServing)?;
    let (target, permit) = admit(app, &revision, client, &mut request)?;
    let code = code::of(app, &target.component, started).await?;
    let Some(slot) = app.node.engine.slots().take(code.weight) else {
        return Err(Refusal::NoSlot);
    };
    let answered = start::Start {
        app,
        revision: &revision,
        target,
        code,
        id,
        started,
    };
    answered.run(request, permit, slot).await
}

/// Checks a request against everything that is known before a guest sees it.
fn admit<'r>(
    app: &Arc<App>,
    revision: &'r Revision,
    client: &Client,
    request: &mut Request<Incoming>,
) -> Result<(&'r Target, Permit), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Method);
    }
    let limit = revision.limits.request_body;
    if request.body().size_hint().lower() > limit {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let authority = headers::authority(request).ok_or(Refusal::Host)?;
    // The path is needed while the headers change; a `Uri` is cheap to clone.
    let uri = request.uri().clone();
    let found = revision.routes.find(uri.path()).ok_or(Refusal::NoRoute)?;
    headers::describe(request.headers_mut(), &uri, &authority, client, &found);
    let concurrency = revision.limits.concurrency;
    let permit = app
        .admit(concurrency)
        .ok_or(Refusal::Concurrency { limit: concurrency })?;
    Ok((found.value, permit))
}
