//! The same paths over every version of Spin's SQL interface, so that one test can try them all.
//!
//! `POST /run`: each line of the body is a statement, all on one connection; the answer has a line for
//! each: its rows, with `,` between values and `;` after each row, or `!` and the error's WIT name.
//! `/values` writes a value of each kind and reads it back; `/twice` uses two connections; `/count` adds one to a counter and gives it;
//! `/left-behind` does statements on two connections and says after each what the connection has of it;
//! `/connections/COUNT` opens so many; `/closed` uses one that was closed; `/large/BYTES` asks for a
//! value of that size. `?label=NAME` selects the database.

mod conversions;

use guest_http::{Request, ResponseOutparam, text};

/// A value of SQLite's.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    Null,
}

/// The error's WIT name, with its text if it has one; or an interface has no such operation.
pub type Result<T> = std::result::Result<T, String>;

/// A database that is open, through whichever interface.
pub trait Database: Sized {
    fn open(label: &str) -> Result<Self>;
    /// Rows of a statement.
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>>;
    /// The row of the last `INSERT` and the number of rows that the last statement changed, where the interface
    /// says so.
    fn left_behind(&self) -> Option<(i64, u64)> {
        None
    }
    /// What a connection says that was closed.
    fn closed(self) -> Result<()>;
}

/// Answers a request with the database that it names.
pub fn handle<D: Database>(request: Request, out: ResponseOutparam) {
    let label = request.query("label");
    let label = label.as_deref().unwrap_or("default");
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = match segments.as_slice() {
        ["run"] => run::<D>(label, &request),
        ["values"] => values::<D>(label),
        ["twice"] => twice::<D>(label),
        ["count"] => count::<D>(label),
        ["left-behind"] => left_behind::<D>(label),
        ["connections", count] => connections::<D>(label, count.parse().unwrap_or(0)),
        ["closed"] => D::open(label)
            .and_then(D::closed)
            .map(|()| "closed".to_owned()),
        ["large", bytes] => large::<D>(label, bytes),
        _ => Err("no such path".to_owned()),
    };
    match answer {
        Ok(answer) => text(out, 200, &answer),
        Err(error) => text(out, 500, &error),
    }
}

fn run<D: Database>(label: &str, request: &Request) -> Result<String> {
    let body = String::from_utf8(request.body(1 << 20)?).map_err(|error| error.to_string())?;
    let database = D::open(label)?;
    let lines = body
        .lines()
        .map(|statement| match database.execute(statement, &[]) {
            Ok(rows) => rows.iter().map(|row| shown(row)).collect(),
            Err(error) => format!("!{error}"),
        });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn shown(row: &[Value]) -> String {
    let value = |value: &Value| match value {
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => format!("{value:?}"),
        Value::Text(value) => value.clone(),
        Value::Blob(value) => format!("{value:02x?}"),
        Value::Null => "NULL".to_owned(),
    };
    row.iter().map(value).collect::<Vec<_>>().join(",") + ";"
}

fn values<D: Database>(label: &str) -> Result<String> {
    let database = D::open(label)?;
    database.execute("CREATE TABLE IF NOT EXISTS v(i, r, t, b, n)", &[])?;
    database.execute("DELETE FROM v", &[])?;
    let written = [
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Text("naïve".to_owned()),
        Value::Blob(vec![0, 255]),
        Value::Null,
    ];
    database.execute("INSERT INTO v VALUES (?, ?, ?, ?, ?)", &written)?;
    let read = database.execute("SELECT * FROM v", &[])?;
    match read.as_slice() {
        [row] if row[..] == written[..] => Ok("the same".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

/// What one connection has not committed, another does not see.
fn twice<D: Database>(label: &str) -> Result<String> {
    let (one, other) = (D::open(label)?, D::open(label)?);
    one.execute("CREATE TABLE IF NOT EXISTS twice(a)", &[])?;
    let mut seen = String::new();
    for statement in ["BEGIN", "INSERT INTO twice VALUES (1)", "COMMIT"] {
        one.execute(statement, &[])?;
        let rows = other.execute("SELECT count(*) FROM twice", &[])?;
        seen.extend(rows.iter().map(|row| shown(row)));
    }
    Ok(seen)
}

fn count<D: Database>(label: &str) -> Result<String> {
    let database = D::open(label)?;
    database.execute(
        "CREATE TABLE IF NOT EXISTS count(id INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
        &[],
    )?;
    let rows = database.execute(
        "INSERT INTO count VALUES (1, 1) ON CONFLICT(id) DO UPDATE SET n = n + 1 RETURNING n",
        &[],
    )?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(count)) => Ok(count.to_string()),
        other => Err(format!("{other:?}")),
    }
}

fn left_behind<D: Database>(label: &str) -> Result<String> {
    let (one, other) = (D::open(label)?, D::open(label)?);
    let mut said = String::new();
    for statement in [
        "CREATE TABLE IF NOT EXISTS left_behind(id INTEGER PRIMARY KEY, a)",
        "INSERT INTO left_behind VALUES (7, 1), (8, 1)",
        "SELECT * FROM left_behind",
        "UPDATE left_behind SET a = 2 WHERE id = 7",
        "DELETE FROM left_behind",
    ] {
        one.execute(statement, &[])?;
        other.execute("SELECT 1", &[])?;
        let (row, changes) = one.left_behind().ok_or("no such operation")?;
        said += &format!("{row},{changes};");
    }
    let (row, changes) = other.left_behind().ok_or("no such operation")?;
    Ok(said + &format!("{row},{changes};"))
}

fn connections<D: Database>(label: &str, count: usize) -> Result<String> {
    let open = (0..count)
        .map(|_| D::open(label))
        .collect::<Result<Vec<_>>>()?;
    for database in &open {
        database.execute("SELECT 1", &[])?;
    }
    Ok(open.len().to_string())
}

fn large<D: Database>(label: &str, bytes: &str) -> Result<String> {
    let database = D::open(label)?;
    let bytes = Value::Integer(bytes.parse().unwrap_or(0));
    let rows = database.execute("SELECT zeroblob(?)", &[bytes])?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Blob(blob)) => Ok(blob.len().to_string()),
        other => Err(format!("{other:?}")),
    }
}
