//! What a guest's connection is to a backend.

use std::fmt;

use super::Effect;
use crate::StoreId;

/// Names a session, within its Store. Random: whoever knows it opened it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(uuid::Uuid);

impl SessionId {
    /// A fresh one.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id of these bytes; `None` unless there are 16.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        uuid::Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId")
    }
}

/// What a session's owner knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// No statement was done in it yet.
    Fresh,
    /// No transaction is open.
    Idle,
    /// A transaction is open.
    InTransaction,
}

/// A guest's connection: plain data, kept by whoever opened it and given with each call.
#[derive(Clone, Debug)]
pub struct Session {
    /// Which database.
    pub store: StoreId,
    /// Which session of it.
    pub id: SessionId,
    /// Kept up to date by the backend.
    pub state: SessionState,
    /// The row that its last `INSERT` made; 0 before the first. Kept up to date by the backend.
    pub last_insert_rowid: i64,
    /// Rows that its last `INSERT`, `UPDATE` or `DELETE` changed; 0 before the first. Kept up to date by
    /// the backend.
    pub changes: u64,
}

impl Session {
    /// A session that no backend knows of yet.
    pub fn new(store: StoreId) -> Self {
        Self {
            store,
            id: SessionId::random(),
            state: SessionState::Fresh,
            last_insert_rowid: 0,
            changes: 0,
        }
    }

    /// Remembers what a statement of it left behind.
    pub(crate) fn note(&mut self, effect: Effect) {
        let Effect {
            last_insert_rowid,
            changes,
        } = effect;
        self.last_insert_rowid = last_insert_rowid.unwrap_or(self.last_insert_rowid);
        self.changes = changes.unwrap_or(self.changes);
    }
}
