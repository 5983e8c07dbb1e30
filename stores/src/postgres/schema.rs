//! The tables and functions: made by whoever comes first, brought up to date by whoever is newer.
//!
//! Tables have a version, which a node that is older refuses. Functions have not: see
//! [`super::functions`]. A node that finds tables of its version and misses its functions makes those
//! alone, and older ones serve on beside it.

use tokio_postgres::{Client, error::SqlState, types::Type};

use super::{
    fault::{Effect, Fault},
    statements::Statements,
};
use crate::PlaceId;

/// A migration that waits for another's ends by then, in ms.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 4000";
/// Of one prefix one migrates at a time. The lock ends with its transaction, wherever a pooler sends
/// the next one.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('shoal tables of ' || $1, 0))";

/// Makes sure that the tables are there and of our version, and that the place they are in has an id, which it gives. A
/// fault leaves nothing behind.
pub(crate) async fn prepare(
    client: &Client,
    statements: &Statements,
) -> Result<Option<PlaceId>, Fault> {
    make_tables(client, statements).await?;
    if let Some(found) = place(client, statements).await? {
        return Ok(Some(found));
    }
    // Of several who do so at once, one is the first.
    let id = PlaceId::random().number();
    match client
        .execute_typed(&statements.make_place, &[(&id, Type::INT8)])
        .await
    {
        Ok(_) => place(client, statements).await,
        // Tables of an earlier Shoal, and a role that may only use them: they serve as they did.
        Err(error) if may_not(&error) => Ok(None),
        Err(error) => Err(Fault::of_statement(&error, Effect::Read)),
    }
}

fn may_not(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE | &SqlState::READ_ONLY_SQL_TRANSACTION)
    )
}

/// The id of the place that the tables are in; `None`: there are none, or it has none.
pub(crate) async fn place(
    client: &Client,
    statements: &Statements,
) -> Result<Option<PlaceId>, Fault> {
    let number = match client.query_typed(&statements.place, &[]).await {
        Ok(rows) => rows.first().map(|row| row.try_get::<_, i64>(0)).transpose(),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    };
    let number = number.map_err(|error| Fault::of_statement(&error, Effect::Read))?;
    Ok(number.and_then(PlaceId::from_number))
}

async fn make_tables(client: &Client, statements: &Statements) -> Result<(), Fault> {
    let wanted = statements.migrations.len();
    // A role that may not make tables serves where they were made for it.
    match version(client, statements).await {
        Ok(Some(found)) if found == wanted => match have_functions(client, statements).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => return Err(Fault::of_statement(&error, Effect::Read)),
        },
        Ok(Some(found)) if found > wanted => return Err(Fault::later_version()),
        Ok(_) => {}
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
        Err(error) => return Err(Fault::of_statement(&error, Effect::Read)),
    }
    match migrate(client, statements).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::later_version()),
        // The connection is in the midst of a transaction, which ends with it.
        Err(error) => Err(Fault::of_statement(&error, Effect::Read).with_its_connection()),
    }
}

async fn version(
    client: &Client,
    statements: &Statements,
) -> Result<Option<usize>, tokio_postgres::Error> {
    let rows = client.query_typed(&statements.version, &[]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(
        usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(usize::MAX),
    ))
}

async fn have_functions(
    client: &Client,
    statements: &Statements,
) -> Result<bool, tokio_postgres::Error> {
    let names = statements.functions.names();
    let rows = client
        .query_typed(statements.have_functions, &[(&names, Type::TEXT_ARRAY)])
        .await?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// Does what is left to do under the lock; `false` if a later version of Shoal was faster.
async fn migrate(client: &Client, statements: &Statements) -> Result<bool, tokio_postgres::Error> {
    client.batch_execute(BEGIN).await?;
    client
        .query_typed(LOCK, &[(&statements.prefix, Type::TEXT)])
        .await?;
    client.batch_execute(&statements.meta_table).await?;
    let found = version(client, statements).await?.unwrap_or(0);
    let wanted = statements.migrations.len();
    for migration in statements.migrations.iter().skip(found) {
        client.batch_execute(migration).await?;
    }
    if found < wanted {
        let version = i64::try_from(wanted).unwrap_or(i64::MAX);
        client
            .execute_typed(&statements.set_version, &[(&version, Type::INT8)])
            .await?;
        tracing::info!(
            prefix = statements.prefix,
            version,
            "made the tables of stores"
        );
    }
    if found <= wanted && !have_functions(client, statements).await? {
        let definitions = statements.functions.definitions();
        client.batch_execute(&definitions).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(found <= wanted)
}
