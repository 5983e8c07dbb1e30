/// Between [`Value`](crate::Value) and the types that were generated for a version of the interface; these have the
/// same shape in each, and are others to Rust. `$sqlite`: the name of the generated module.
///
/// Gives `name` of an error, `given` of a parameter, `found` of a value and `rows` of a result.
#[macro_export]
macro_rules! conversions {
    ($sqlite:ident) => {
        fn name(error: $sqlite::Error) -> String {
            match error {
                $sqlite::Error::NoSuchDatabase => "no-such-database".to_owned(),
                $sqlite::Error::AccessDenied => "access-denied".to_owned(),
                $sqlite::Error::InvalidConnection => "invalid-connection".to_owned(),
                $sqlite::Error::DatabaseFull => "database-full".to_owned(),
                $sqlite::Error::Io(message) => format!("io: {message}"),
            }
        }

        fn given(value: &$crate::Value) -> $sqlite::Value {
            match value {
                $crate::Value::Integer(value) => $sqlite::Value::Integer(*value),
                $crate::Value::Real(value) => $sqlite::Value::Real(*value),
                $crate::Value::Text(value) => $sqlite::Value::Text(value.clone()),
                $crate::Value::Blob(value) => $sqlite::Value::Blob(value.clone()),
                $crate::Value::Null => $sqlite::Value::Null,
            }
        }

        fn found(value: $sqlite::Value) -> $crate::Value {
            match value {
                $sqlite::Value::Integer(value) => $crate::Value::Integer(value),
                $sqlite::Value::Real(value) => $crate::Value::Real(value),
                $sqlite::Value::Text(value) => $crate::Value::Text(value),
                $sqlite::Value::Blob(value) => $crate::Value::Blob(value),
                $sqlite::Value::Null => $crate::Value::Null,
            }
        }

        fn rows(result: $sqlite::QueryResult) -> Vec<Vec<$crate::Value>> {
            let row = |row: $sqlite::RowResult| row.values.into_iter().map(found).collect();
            result.rows.into_iter().map(row).collect()
        }
    };
}
