//! `GET stores/export`: the entries of a Store as lines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde::Deserialize;
use shoal_crds::{JSON_LINES, Line, RUNTIME_GROUP, Reason};
use shoal_protocol::v1::{Pair, ReadEntriesResponse};

use super::access::Deed;
use super::audit::Record;
use super::bound::{Bound, bound};
use super::failure::Failure;
use super::transfers::Transfer;
use super::user::User;
use super::{Api, StorePod};

/// No page is asked for after this: the answer says where it goes on.
const FOR: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
pub(super) struct Parameters {
    /// The key after which it begins.
    #[serde(default)]
    after: String,
}

pub(super) async fn export(
    State(api): State<Arc<Api>>,
    Extension(user): Extension<User>,
    Path((namespace, name)): Path<(String, String)>,
    Query(Parameters { after }): Query<Parameters>,
) -> Result<Response, Failure> {
    let deed = Deed {
        verb: "get",
        group: RUNTIME_GROUP,
        resource: "stores",
        subresource: "export",
        namespace: &namespace,
        name: &name,
    };
    api.access.check(&user, deed).await?;
    let turn = api.transfers.begin(&user)?;
    let store = bound(&api, &namespace, &name).await?;
    let begun = Instant::now();
    // The first page decides on the status of the answer.
    let page = api.pod.read(&store, after).await?;
    let export = Export {
        pod: api.pod.clone(),
        record: api.audit.record(&store.store, user, Reason::Exported),
        store,
        begun,
        page: Some(page),
        _turn: turn,
    };
    let lines = stream::try_unfold(export, Export::next);
    Ok(([(CONTENT_TYPE, JSON_LINES)], Body::from_stream(lines)).into_response())
}

/// An answer under way: whoever reads it has the next page asked for.
struct Export {
    pod: StorePod,
    store: Bound,
    begun: Instant,
    record: Record,
    /// What is to be said next; `None`: everything was said.
    page: Option<ReadEntriesResponse>,
    _turn: Transfer,
}

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, axum::BoxError> {
        let Some(ReadEntriesResponse { pairs, next }) = self.page.take() else {
            return Ok(None);
        };
        let mut text = Vec::new();
        for Pair { key, value } in pairs {
            Line::Entry(key, value.into()).write(&mut text)?;
            self.record.keys += 1;
        }
        let is_last = next.is_empty();
        if is_last || self.begun.elapsed() > FOR {
            let next = (!is_last).then_some(next);
            let keys = self.record.keys;
            Line::End { keys, next }.write(&mut text)?;
            self.record.ended = true;
        } else {
            // An answer that breaks off lacks its last line, and so says that it did.
            let page = self.pod.read(&self.store, next).await;
            self.page = Some(page.map_err(|failure| failure.message)?);
        }
        Ok(Some((text.into(), self)))
    }
}
