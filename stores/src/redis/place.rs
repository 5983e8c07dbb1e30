//! Whether a connection leads to where the data of the class is: see [`crate::place`].
//!
//! The id of a place is in one key, `<prefix>:{<id of no Store>}:place`, a hash, so that it is made by commands that
//! Stores need as well. Each connection is asked for it before its first call, and again now and then: a server can be
//! emptied under its connections.

use std::{str, time::Duration};

use ::redis::Value;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{
    answer,
    call::{self, Call, Run},
    calls::{Calls, Repeat},
    cluster::Servers,
    connection::Connection,
    fault::{Fault, LATE},
};
use crate::{KeyValueError, PlaceId, StoreId, place::Home};

/// A proof is good for so long.
const GOOD: Duration = Duration::from_secs(5);
/// Times that a cluster's word about who has the key is followed.
const REDIRECTIONS: usize = 4;
/// The field of the key.
const FIELD: Bytes = Bytes::from_static(b"id");

/// What a connection was found to lead to.
#[derive(Default)]
pub(crate) struct Proof {
    last: Mutex<Option<(PlaceId, Option<Instant>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Proof {
    /// Whether this place was found there, not too long ago.
    fn holds(&self, place: PlaceId) -> bool {
        match *self.last.lock() {
            Some((found, until)) => {
                found == place && until.is_none_or(|until| Instant::now() < until)
            }
            None => false,
        }
    }
}

/// Asks for the id of a place.
fn look(prefix: &str) -> Call {
    Call {
        run: Run::Command("HGET"),
        keys: vec![key(prefix)],
        args: vec![FIELD],
        answer: 0,
    }
}

/// The same, and gives it one where it has none.
fn make(prefix: &str) -> Call {
    Call {
        run: Run::Script(&call::PLACE),
        keys: vec![key(prefix)],
        args: vec![PlaceId::random().to_string().into()],
        answer: 0,
    }
}

fn key(prefix: &str) -> Vec<u8> {
    format!("{prefix}:{{{}}}:place", StoreId::NONE).into_bytes()
}

/// What these calls gave.
fn read(answer: Value) -> Result<Option<PlaceId>, KeyValueError> {
    let text = answer::value(answer)?;
    // What is no id is that of no place that could be meant.
    Ok(text.and_then(|text| str::from_utf8(&text).ok()?.parse().ok()))
}

/// The place that all servers of a class are to be.
pub(crate) struct Wanted {
    pub(crate) prefix: String,
    pub(crate) home: Home,
}

impl Wanted {
    /// Makes sure that the data is where `connection` leads.
    pub(crate) async fn prove(
        &self,
        connection: &Connection,
        servers: &Servers,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let Some(recorded) = self.home.recorded() else {
            return Ok(());
        };
        let proof = &connection.proof;
        if proof.holds(recorded) {
            return Ok(());
        }
        let turn = timeout_at(deadline, proof.turn.lock()).await;
        let _turn = turn.map_err(|_| Fault::NotYet(LATE))?;
        if proof.holds(recorded) {
            return Ok(());
        }
        let (answer, is_its_own) = self.ask(connection, servers, deadline).await;
        let found = read(answer?).map_err(|_| Fault::Refused("its data is damaged"))?;
        if let Err(misplaced) = self.home.check(found) {
            connection.is_misplaced();
            return Err(Fault::Misplaced(misplaced));
        }
        // Of another server of the cluster this one has no news.
        let until = is_its_own.then(|| Instant::now() + GOOD);
        *proof.last.lock() = Some((recorded, until));
        Ok(())
    }

    /// The id where `connection` leads, and whether it was there itself that it was found.
    async fn ask(
        &self,
        connection: &Connection,
        servers: &Servers,
        deadline: Instant,
    ) -> (Result<Value, Fault>, bool) {
        let look = look(&self.prefix);
        let mut answer = connection.perform(&look, false, deadline).await;
        let mut is_its_own = true;
        for _ in 0..REDIRECTIONS {
            let (node, moving) = match &answer {
                Err(Fault::Moved(node)) => (node, false),
                Err(Fault::Asked(node)) => (node, true),
                _ => break,
            };
            is_its_own = false;
            answer = match servers.at(node).any(deadline).await {
                Ok(other) => other.perform(&look, moving, deadline).await,
                Err(fault) => Err(fault),
            };
        }
        (answer.map_err(before_the_call), is_its_own)
    }
}

impl Calls {
    /// Finds out which place the server is; one that is none becomes one, unless the data is elsewhere.
    ///
    /// # Errors
    /// The data is elsewhere, or the server does not say.
    pub(crate) async fn find_place(&self) -> Result<(), KeyValueError> {
        let Wanted { prefix, home } = &self.wanted;
        let call = match home.recorded() {
            Some(_) => look(prefix),
            None => make(prefix),
        };
        let found = read(self.run(Repeat::Always, StoreId::NONE, call).await?)?;
        home.find(found);
        home.check(found).map_err(KeyValueError::from)
    }
}

/// What is to be done with a call that was not sent yet.
fn before_the_call(fault: Fault) -> Fault {
    match fault {
        // Not of the call's own Store.
        Fault::Moved(_) | Fault::Asked(_) => Fault::NotYet(fault.reason()),
        Fault::Lost => Fault::NotYet("it cannot be reached"),
        fault => fault,
    }
}
