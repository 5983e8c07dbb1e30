//! One connection, and what the server remembers of it.
//!
//! Behind a pooler nothing may be left in a session of the server: the next statement may be done in
//! another one, and the one before in one that is somebody else's now. Where nothing stands in between, a
//! statement that the server remembers takes half the time of one that it reads and plans at each call.
//! Which of the two it is, a connection finds out when it is made: it asks, with what begins a session
//! (`options`), for settings under which nobody else could use it, one of which is a name that it made up.
//! A pooler refuses such a wish or drops it, as a session of its own was begun before; in a session that
//! knows the name, that name was part of its beginning, and the session is this connection's alone.
//!
//! That is not relied on for data. Whatever stands in between may be of a kind that nobody thought of, and
//! the library numbers statements: where sessions were exchanged after all, a number would be another one's
//! statement. So each of them does what it is for in the session of that name only, and says whether it was.

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
    schema,
    statements::{Query, Remembered, Statements},
};
use crate::PlaceId;

/// ms that a write waits for another one's lock in a session of its own, unless it is told to wait less.
pub(crate) const PATIENCE: u64 = 4600;
/// What a session tells the name with that it was begun with.
const NAME: &str = "SELECT current_setting('shoal.session', true)";

/// See the module. Dropped, it is closed.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Nothing, where the session may be shared with others.
    own: Option<Own>,
    /// Which place the database was when that was first asked.
    place: OnceCell<Option<PlaceId>>,
    _driver: AbortOnDropHandle<()>,
}

/// What a session of a connection's own is known by, and remembers.
struct Own {
    name: String,
    remembered: [OnceCell<Statement>; Remembered::COUNT],
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
            own: None,
            place: OnceCell::new(),
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
            session.own = Some(Own {
                name,
                remembered: Default::default(),
            });
        }
        Ok(session)
    }

    /// Whether nobody else ever uses the session, so that it may remember.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Which place the database is; `None`: it is none yet.
    ///
    /// # Errors
    /// That cannot be asked.
    pub(crate) async fn place(&self, statements: &Statements) -> Result<Option<PlaceId>, Fault> {
        let ask = || schema::place(&self.client, statements);
        self.place.get_or_try_init(ask).await.copied()
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
        if let Some((own, place)) = self.own.as_ref().zip(query.place) {
            return self.ask_own(own, place, query, parameters, effect).await;
        }
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = parameters
            .iter()
            .copied()
            .zip(query.types.iter().cloned())
            .collect();
        let rows = self.client.query_typed(&query.text, &typed).await;
        rows.map_err(|error| Fault::of_statement(&error, effect))
    }

    async fn ask_own(
        &self,
        own: &Own,
        place: Remembered,
        query: &Query,
        parameters: &[&(dyn ToSql + Sync)],
        effect: Effect,
    ) -> Result<Vec<Row>, Fault> {
        let prepare = async || {
            let mut types = query.types.clone();
            types.push(Type::TEXT);
            let text = only_in_own(&query.text, types.len());
            self.client.prepare_typed(&text, &types).await
        };
        let Some(statement) = own.remembered.get(place as usize) else {
            return Err(Fault::damaged());
        };
        let statement = statement.get_or_try_init(prepare).await;
        // Whatever is asked, nothing was done yet.
        let statement = statement.map_err(|error| Fault::of_statement(&error, Effect::Read))?;
        let mut parameters = parameters.to_vec();
        parameters.push(&own.name);
        let rows = self.client.query(statement, &parameters).await;
        let rows = rows.map_err(|error| match error.code() {
            // It was refused before it began: the session does not know it, or it no longer fits.
            Some(&SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::FEATURE_NOT_SUPPORTED) => {
                Fault::forgotten(&error)
            }
            _ => Fault::of_statement(&error, effect),
        })?;
        let last = |row: &Row| {
            row.len()
                .checked_sub(1)
                .and_then(|last| row.try_get(last).ok())
        };
        match rows.first().and_then(last) {
            Some(true) => Ok(rows),
            _ => Err(Fault::exchanged()),
        }
    }
}

/// What does `text`, whose answer is one value, if the session is that whose name is parameter `name`; then says
/// whether it is.
fn only_in_own(text: &str, name: usize) -> String {
    let own = format!("current_setting('shoal.session', true) IS NOT DISTINCT FROM ${name}");
    format!("SELECT CASE WHEN {own} THEN ({text}) END, {own}")
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
