//! The paths of `sqlite-routes` through `fermyon:spin/sqlite` without a version.

use fermyon::spin::sqlite::{self, Error};
use sqlite_routes::{Database, Result, Value};

wit_bindgen::generate!({
    path: "../../../stores/wit/sqlite",
    world: "spin-sqlite-v1",
    generate_all
});
guest_http::serve!(sqlite_routes::handle::<Connection>);

struct Connection(u32);

impl Database for Connection {
    fn open(label: &str) -> Result<Self> {
        sqlite::open(label).map(Connection).map_err(name)
    }

    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>> {
        let parameters: Vec<_> = parameters.iter().map(given).collect();
        sqlite::execute(self.0, statement, &parameters)
            .map(rows)
            .map_err(name)
    }

    fn closed(self) -> Result<()> {
        sqlite::close(self.0);
        self.execute("SELECT 1", &[]).map(|_| ())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        sqlite::close(self.0);
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
