//! One connection, and what the server remembers of it.
//!
//! Behind a pooler nothing may be left in a session of the server: the next statement may be done in
//! another one, and the one before in one that is somebody else's now. Where nothing stands in between, a
//! statement that the server remembers takes half the time of one that it reads and plans at each call.
//! Which of the two it is, a connection finds out when it is made: it asks, with what begins a session
//! (`options`), for settings under which nobody else could use it, one of which is a name that it made up.
//! A pooler refuses such a wish or drops it, as a session of its own was begun before; in a session that
//! knows the name, that name was part of its beginning, and the session is this connection's alone.

use tokio::sync::OnceCell;
use tokio_postgres::{
    Client, Config, Row, Statement,
    error::SqlState,
    types::{ToSql, Type},
};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    connector::Connector,
    fault::{Effect, Fault},
    statements::{Query, Remembered},
};

/// ms that a write waits for another one's lock in a session of its own, unless it is told to wait less.
pub(crate) const PATIENCE: u64 = 4600;
/// What a session tells the name with that it was begun with.
const NAME: &str = "SELECT current_setting('shoal.session', true)";

/// See the module. Dropped, it is closed.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Nothing, where the session may be shared with others.
    remembered: Option<[OnceCell<Statement>; Remembered::COUNT]>,
    _driver: AbortOnDropHandle<()>,
}

impl Session {
    /// Connects; statements are not remembered.
    pub(crate) async fn shared(
        connector: &Connector,
        config: &Config,
    ) -> Result<Self, tokio_postgres::Error> {
        let (client, driver) = connector.clone().open(config.clone()).await?;
        Ok(Self {
            client,
            remembered: None,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Connects to a session of its own; to one that may be shared, where something stands in between
    /// that lets such a wish fall. The server refuses it where something is not of its kind: see
    /// [`may_be_for_its_settings`].
    pub(crate) async fn own(
        connector: &Connector,
        config: &Config,
    ) -> Result<Self, tokio_postgres::Error> {
        let name = Uuid::new_v4().simple().to_string();
        let mut wish = config.clone();
        let given = config.get_options().unwrap_or_default();
        // A plan outlives the moment in which its table is so small that reading all of it is the
        // shortest way.
        wish.options(format!(
            "{given} -c enable_seqscan=off -c lock_timeout={PATIENCE} -c shoal.session={name}"
        ));
        let mut session = Self::shared(connector, &wish).await?;
        let rows = session.client.query_typed(NAME, &[]).await?;
        let told: Option<&str> = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => None,
        };
        if told == Some(name.as_str()) {
            session.remembered = Some(Default::default());
        }
        Ok(session)
    }

    /// Whether nobody else ever uses the session, so that it may remember.
    pub(crate) fn is_own(&self) -> bool {
        self.remembered.is_some()
    }

    /// Asks `query` with `parameters`, one for each of its types.
    ///
    /// # Errors
    /// What became of the call, whose `effect` is this.
    pub(crate) async fn ask(
        &self,
        query: &Query,
        parameters: &[&(dyn ToSql + Sync)],
        effect: Effect,
    ) -> Result<Vec<Row>, Fault> {
        let place = query.place.zip(self.remembered.as_ref());
        let Some(place) = place.and_then(|(place, all)| all.get(place as usize)) else {
            let typed: Vec<(&(dyn ToSql + Sync), Type)> = parameters
                .iter()
                .copied()
                .zip(query.types.iter().cloned())
                .collect();
            let rows = self.client.query_typed(&query.text, &typed).await;
            return rows.map_err(|error| Fault::of_statement(&error, effect));
        };
        let prepare = || self.client.prepare_typed(&query.text, &query.types);
        let statement = place.get_or_try_init(prepare).await;
        // Whatever is asked, nothing was done yet.
        let statement = statement.map_err(|error| Fault::of_statement(&error, Effect::Read))?;
        let rows = self.client.query(statement, parameters).await;
        rows.map_err(|error| match error.code() {
            // It was refused before it began: the session does not know it, or it no longer fits.
            Some(&SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::FEATURE_NOT_SUPPORTED) => {
                Fault::forgotten(&error)
            }
            _ => Fault::of_statement(&error, effect),
        })
    }
}

/// Whether a connection may have been refused for the settings that its session was to begin with, and
/// may be had without them: not for a role, a password, a database, or a server that has no room or time.
pub(crate) fn may_be_for_its_settings(error: &tokio_postgres::Error) -> bool {
    let state = error.code().map(SqlState::code);
    state.is_some_and(|state| {
        let others = ["28", "3D", "53", "57"];
        !others.iter().any(|class| state.starts_with(class))
    })
}
