//! SQL databases of `shoal-store`, over gRPC.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use shoal_protocol::{
    LiveIdentity, Role,
    client::{self, ConnectError},
    v1::{self, sql_client::SqlClient},
};
use tonic::{Status, transport::Channel};

use super::calls::{CallError, Calls, Repeat};
use crate::{
    StoreId, StoreLimits, gate,
    sql::{
        Answer, Session, SessionState, Sql, SqlError, Statement, embedded::check, wire as sql_wire,
    },
    wire::{MAX_MESSAGE_BYTES, limits_to_wire},
};

/// Every call ends by then. The store's own bound comes first: it says what took so long.
const DEADLINE: Duration = Duration::from_secs(7);
/// Calls on one Store that may be under way, those of open transactions apart: they wait for each
/// other, and must not take the place of all.
const CALLS_PER_STORE: usize = 64;
/// With those of open transactions, which never wait behind the others: the others wait for their end.
const ALL_PER_STORE: u32 = 2 * gate::CALLS_PER_STORE;

/// The databases behind one `shoal-store`. Every call ends within 7 s, whatever happens to the
/// connection, which is made again by itself.
pub struct RemoteSql {
    calls: Arc<Calls<SqlClient<Channel>, SqlError>>,
    under_way: Mutex<HashMap<StoreId, usize>>,
}

impl RemoteSql {
    /// The databases at `target` (`host:port`), opened as `identity`. Connects with the first call.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(target: &str, identity: &LiveIdentity) -> Result<Self, ConnectError> {
        let channel = client::channel(target, Role::Store, identity)?;
        let client = SqlClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            calls: Arc::new(Calls::new(client, DEADLINE, ALL_PER_STORE)),
            under_way: Mutex::default(),
        })
    }

    fn enter(&self, store: StoreId) -> Result<UnderWay<'_>, SqlError> {
        let mut under_way = self.under_way.lock();
        let count = under_way.entry(store).or_default();
        if *count >= CALLS_PER_STORE {
            let why = "too many statements are waiting".to_owned();
            return Err(SqlError::Unavailable(why));
        }
        *count += 1;
        Ok(UnderWay(&self.under_way, store))
    }
}

/// One of the calls on a Store.
struct UnderWay<'a>(&'a Mutex<HashMap<StoreId, usize>>, StoreId);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.lock();
        if let Some(count) = under_way.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.1);
            }
        }
    }
}

impl CallError for SqlError {
    fn of(status: &Status) -> Self {
        sql_wire::error(status)
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable(why)
    }
}

#[async_trait]
impl Sql for RemoteSql {
    async fn execute(
        &self,
        session: &mut Session,
        statement: Statement,
        limits: StoreLimits,
    ) -> Result<Answer, SqlError> {
        check(&statement)?;
        let _under_way = match session.state {
            SessionState::InTransaction => None,
            SessionState::Fresh | SessionState::Idle => Some(self.enter(session.store)?),
        };
        let parameters = statement.parameters.into_iter();
        let request = v1::ExecuteRequest {
            store_id: session.store.to_string(),
            session: session.id.as_bytes().to_vec().into(),
            state: sql_wire::state_to_wire(session.state).into(),
            statement: statement.text,
            parameters: parameters.map(sql_wire::value_to_wire).collect(),
            limits: Some(limits_to_wire(limits)),
            last_insert_rowid: session.last_insert_rowid,
        };
        let store = session.store;
        let result = self
            .calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.execute(request).await },
            )
            .await;
        session.state = match (&result, session.state) {
            (Ok(response), _) if response.in_transaction => SessionState::InTransaction,
            (Ok(_), _) | (Err(SqlError::RolledBack(_)), _) => SessionState::Idle,
            // Whatever became of it: the store says so if it knows otherwise.
            (Err(_), SessionState::InTransaction) => SessionState::InTransaction,
            (Err(_), _) => SessionState::Idle,
        };
        let nonsense = || SqlError::Unavailable("it gave an answer to another question".into());
        let answer = sql_wire::answer(result?).ok_or_else(nonsense)?;
        session.note(answer.effect);
        Ok(answer)
    }

    fn close(&self, session: &Session) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let request = v1::CloseRequest {
            store_id: session.store.to_string(),
            session: session.id.as_bytes().to_vec().into(),
        };
        let (calls, store) = (Arc::clone(&self.calls), session.store);
        runtime.spawn(async move {
            let closed = calls.run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.close(request).await },
            );
            // Else the store closes it when its time is over.
            let _ = closed.await;
        });
    }
}
