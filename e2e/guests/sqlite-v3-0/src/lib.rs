//! The paths of `sqlite-routes` through the functions of `spin:sqlite` that 3.0.0 has.

use spin::sqlite::sqlite;
use sqlite_routes::{Database, Result, Value};

wit_bindgen::generate!({
    path: "wit",
    world: "guest",
    generate_all
});
guest_http::serve!(sqlite_routes::handle::<Connection>);
sqlite_routes::conversions!(sqlite);

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
