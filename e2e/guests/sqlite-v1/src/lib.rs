//! The paths of `sqlite-routes` through `fermyon:spin/sqlite` without a version.

use fermyon::spin::sqlite;
use sqlite_routes::{Database, Result, Value};

wit_bindgen::generate!({
    path: "../../../stores/wit/sqlite",
    world: "spin-sqlite-v1",
    generate_all
});
guest_http::serve!(sqlite_routes::handle::<Connection>);
sqlite_routes::conversions!(sqlite);

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
