//! What `sqlite-routes` has, once more: these functions wait.

use spin_sdk::sqlite::Value;

use crate::{Result, open, rows, with};

pub(crate) async fn run(label: &str, body: &str) -> Result<String> {
    let connection = open(label).await?;
    let mut lines = Vec::new();
    for statement in body.lines() {
        lines.push(match rows(&connection, statement).await {
            Ok(rows) => shown(&rows),
            Err(error) => format!("!{error}"),
        });
    }
    Ok(lines.join("\n"))
}

pub(crate) fn shown(rows: &[Vec<Value>]) -> String {
    let value = |value: &Value| match value {
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => format!("{value:?}"),
        Value::Text(value) => value.clone(),
        Value::Blob(value) => format!("{value:02x?}"),
        Value::Null => "NULL".to_owned(),
    };
    let row = |row: &Vec<Value>| row.iter().map(value).collect::<Vec<_>>().join(",") + ";";
    rows.iter().map(row).collect()
}

pub(crate) async fn values(label: &str) -> Result<String> {
    let connection = open(label).await?;
    for statement in [
        "CREATE TABLE IF NOT EXISTS v(i, r, t, b, n)",
        "DELETE FROM v",
    ] {
        rows(&connection, statement).await?;
    }
    let written = || {
        vec![
            Value::Integer(i64::MIN),
            Value::Real(-0.5),
            Value::Text("naïve".to_owned()),
            Value::Blob(vec![0, 255]),
            Value::Null,
        ]
    };
    with(
        &connection,
        "INSERT INTO v VALUES (?, ?, ?, ?, ?)",
        written(),
    )
    .await?;
    let read = format!("{:?}", rows(&connection, "SELECT * FROM v").await?);
    match read == format!("{:?}", [written()]) {
        true => Ok("the same".to_owned()),
        false => Err(read),
    }
}

pub(crate) async fn twice(label: &str) -> Result<String> {
    let (one, other) = (open(label).await?, open(label).await?);
    rows(&one, "CREATE TABLE IF NOT EXISTS twice(a)").await?;
    let mut seen = String::new();
    for statement in ["BEGIN", "INSERT INTO twice VALUES (1)", "COMMIT"] {
        rows(&one, statement).await?;
        seen += &shown(&rows(&other, "SELECT count(*) FROM twice").await?);
    }
    Ok(seen)
}

pub(crate) async fn count(label: &str) -> Result<String> {
    let connection = open(label).await?;
    let create = "CREATE TABLE IF NOT EXISTS count(id INTEGER PRIMARY KEY, n INTEGER NOT NULL)";
    rows(&connection, create).await?;
    let add = "INSERT INTO count VALUES (1, 1) ON CONFLICT(id) DO UPDATE SET n = n + 1 RETURNING n";
    let counted = shown(&rows(&connection, add).await?);
    Ok(counted.trim_end_matches(';').to_owned())
}

pub(crate) async fn left_behind(label: &str) -> Result<String> {
    let (one, other) = (open(label).await?, open(label).await?);
    let mut said = String::new();
    for statement in [
        "CREATE TABLE IF NOT EXISTS left_behind(id INTEGER PRIMARY KEY, a)",
        "INSERT INTO left_behind VALUES (7, 1), (8, 1)",
        "SELECT * FROM left_behind",
        "UPDATE left_behind SET a = 2 WHERE id = 7",
        "DELETE FROM left_behind",
    ] {
        rows(&one, statement).await?;
        rows(&other, "SELECT 1").await?;
        said += &format!("{},{};", one.last_insert_rowid().await, one.changes().await);
    }
    let (row, changes) = (other.last_insert_rowid().await, other.changes().await);
    Ok(said + &format!("{row},{changes};"))
}

pub(crate) async fn connections(label: &str, count: usize) -> Result<String> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(open(label).await?);
    }
    for connection in &all {
        rows(connection, "SELECT 1").await?;
    }
    Ok(all.len().to_string())
}

pub(crate) async fn large(label: &str, bytes: usize) -> Result<String> {
    let connection = open(label).await?;
    let bytes = Value::Integer(i64::try_from(bytes).unwrap_or(i64::MAX));
    let rows = with(&connection, "SELECT zeroblob(?)", vec![bytes]).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Blob(blob)) => Ok(blob.len().to_string()),
        other => Err(format!("{other:?}")),
    }
}
