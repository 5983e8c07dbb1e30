//! `POST stores/import`: lines into a Store.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::Deserialize;
use shoal_crds::{Imported, Line, RUNTIME_GROUP, Reason};
use shoal_protocol::v1::Pair;

use super::access::Deed;
use super::audit::Record;
use super::bound::{Bound, bound};
use super::failure::Failure;
use super::lines::Lines;
use super::user::User;
use super::{Api, StorePod};

/// Entries that are written at once.
const PAIRS: usize = 500;
/// A write ends with the entry that makes it larger than this, in bytes.
const WRITE_BYTES: usize = 1024 * 1024;
/// Most bytes of one write.
const CALL_BYTES: usize = 8 * 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct Parameters {
    /// Whether the Store may hold something.
    #[serde(default)]
    overwrite: bool,
}

pub(super) async fn import(
    State(api): State<Arc<Api>>,
    Extension(user): Extension<User>,
    Path((namespace, name)): Path<(String, String)>,
    Query(Parameters { overwrite }): Query<Parameters>,
    body: Body,
) -> Result<Json<Imported>, Failure> {
    let deed = Deed {
        verb: "create",
        group: RUNTIME_GROUP,
        resource: "stores",
        subresource: "import",
        namespace: &namespace,
        name: &name,
    };
    api.access.check(&user, deed).await?;
    let _turn = api.transfers.begin(&user)?;
    let store = bound(&api, &namespace, &name).await?;
    let mut import = Import {
        pod: &api.pod,
        record: api.audit.record(&store.store, user, Reason::Imported),
        store: &store,
        only_if_empty: !overwrite,
        pairs: Vec::new(),
        bytes: 0,
    };
    let done = import.all(Lines::of(body)).await;
    let keys = import.record.keys;
    done.map_err(|failure| failure.after(&format!("{keys} keys were written before")))?;
    Ok(Json(Imported { keys }))
}

struct Import<'a> {
    pod: &'a StorePod,
    store: &'a Bound,
    record: Record,
    only_if_empty: bool,
    pairs: Vec<Pair>,
    bytes: usize,
}

impl Import<'_> {
    async fn all(&mut self, mut lines: Lines) -> Result<(), Failure> {
        let mut read = 0;
        while let Some(line) = lines.next().await? {
            match line {
                Line::Entry(key, value) => {
                    read += 1;
                    self.take(key, value).await?;
                }
                Line::End { keys, next } => {
                    self.flush().await?;
                    if self.only_if_empty {
                        // Nothing was written: that it may be is asked all the same.
                        self.pod.write(self.store, Vec::new(), true).await?;
                    }
                    return self.end(read, keys, next, lines).await;
                }
            }
        }
        self.flush().await?;
        Err(Failure::bad_request(format!(
            "the text was cut: it ends after {read} entries, without the line that says how many they are"
        )))
    }

    async fn end(
        &mut self,
        read: u64,
        keys: u64,
        next: Option<String>,
        mut lines: Lines,
    ) -> Result<(), Failure> {
        if read != keys {
            return Err(Failure::bad_request(format!(
                "the text is not whole: its last line says {keys} entries, and there were {read}"
            )));
        }
        if lines.next().await?.is_some() {
            return Err(Failure::bad_request(
                "something follows after the line that says how many entries there are",
            ));
        }
        if let Some(next) = next {
            return Err(Failure::bad_request(format!(
                "the text is a part of an export: what follows after the key {next:?} is missing"
            )));
        }
        self.record.ended = true;
        Ok(())
    }

    async fn take(&mut self, key: String, value: Vec<u8>) -> Result<(), Failure> {
        let bytes = key.len() + value.len();
        if self.bytes + bytes > CALL_BYTES {
            self.flush().await?;
        }
        self.bytes += bytes;
        let value = value.into();
        self.pairs.push(Pair { key, value });
        if self.pairs.len() >= PAIRS || self.bytes > WRITE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let pairs = std::mem::take(&mut self.pairs);
        self.bytes = 0;
        let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else {
            return Ok(());
        };
        let which = format!(
            "in the entries from key {:?} to key {:?}",
            first.key, last.key
        );
        let count = pairs.len() as u64;
        let written = self.pod.write(self.store, pairs, self.only_if_empty).await;
        written.map_err(|failure| failure.after(&which))?;
        self.only_if_empty = false;
        self.record.keys += count;
        Ok(())
    }
}
