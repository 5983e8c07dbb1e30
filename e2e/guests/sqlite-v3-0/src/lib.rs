//! The paths of `sqlite-routes` through the functions of `spin:sqlite` that 3.0.0 has.

use spin::sqlite::sqlite::{self, Error};
use sqlite_routes::{Database, Result, Value};

wit_bindgen::generate!({
    path: "wit",
    world: "guest",
    generate_all
});
guest_http::serve!(sqlite_routes::handle::<Connection>);

struct Connection(sqlite::Connection);

impl Database for Connection {
    fn open(label: &str) -> Result<Self> {
        sqlite::Connection::open(label)
            .map(Connection)
            .map_err(name)
    }

    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>> {
        let parameters: Vec<_> = parameters.iter().map(given).collect();
        self.0
            .execute(statement, &parameters)
            .map(rows)
            .map_err(name)
    }

    fn left_behind(&self) -> Option<(i64, u64)> {
        Some((self.0.last_insert_rowid(), self.0.changes()))
    }

    fn closed(self) -> Result<()> {
        Err("a connection that was dropped cannot be named".to_owned())
    }
}

fn name(error: Error) -> String {
    match error {
        Error::NoSuchDatabase => "no-such-database".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::InvalidConnection => "invalid-connection".to_owned(),
        Error::DatabaseFull => "database-full".to_owned(),
        Error::Io(message) => format!("io: {message}"),
    }
}

fn given(value: &Value) -> sqlite::Value {
    match value {
        Value::Integer(value) => sqlite::Value::Integer(*value),
        Value::Real(value) => sqlite::Value::Real(*value),
        Value::Text(value) => sqlite::Value::Text(value.clone()),
        Value::Blob(value) => sqlite::Value::Blob(value.clone()),
        Value::Null => sqlite::Value::Null,
    }
}

fn found(value: sqlite::Value) -> Value {
    match value {
        sqlite::Value::Integer(value) => Value::Integer(value),
        sqlite::Value::Real(value) => Value::Real(value),
        sqlite::Value::Text(value) => Value::Text(value),
        sqlite::Value::Blob(value) => Value::Blob(value),
        sqlite::Value::Null => Value::Null,
    }
}

fn rows(result: sqlite::QueryResult) -> Vec<Vec<Value>> {
    let row = |row: sqlite::RowResult| row.values.into_iter().map(found).collect();
    result.rows.into_iter().map(row).collect()
}
