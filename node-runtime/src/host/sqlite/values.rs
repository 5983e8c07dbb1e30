//! How values, answers and errors look in an interface. Its versions have the same words for them, each in
//! types of its own.

/// For an interface whose generated types (`Error`, `QueryResult`, `RowResult`, `Value`) are in scope.
macro_rules! conversions {
    () => {
        impl From<$crate::host::sqlite::Failure> for Error {
            fn from(failure: $crate::host::sqlite::Failure) -> Self {
                use $crate::host::sqlite::Failure;
                match failure {
                    Failure::AccessDenied => Self::AccessDenied,
                    Failure::InvalidConnection => Self::InvalidConnection,
                    Failure::Full => Self::DatabaseFull,
                    Failure::Other(message) => Self::Io(message),
                }
            }
        }

        impl From<Value> for shoal_stores::sql::Value {
            fn from(value: Value) -> Self {
                match value {
                    Value::Integer(value) => Self::Integer(value),
                    Value::Real(value) => Self::Real(value),
                    Value::Text(value) => Self::Text(value),
                    Value::Blob(value) => Self::Blob(value.into()),
                    Value::Null => Self::Null,
                }
            }
        }

        impl From<shoal_stores::sql::Value> for Value {
            fn from(value: shoal_stores::sql::Value) -> Self {
                use shoal_stores::sql::Value as Found;
                match value {
                    Found::Integer(value) => Self::Integer(value),
                    Found::Real(value) => Self::Real(value),
                    Found::Text(value) => Self::Text(value),
                    Found::Blob(value) => Self::Blob(value.into()),
                    Found::Null => Self::Null,
                }
            }
        }

        fn statement(text: String, parameters: Vec<Value>) -> shoal_stores::sql::Statement {
            shoal_stores::sql::Statement {
                text,
                parameters: parameters.into_iter().map(Into::into).collect(),
            }
        }

        fn row(values: Vec<shoal_stores::sql::Value>) -> RowResult {
            RowResult {
                values: values.into_iter().map(Value::from).collect(),
            }
        }

        fn result(answer: shoal_stores::sql::Answer) -> QueryResult {
            QueryResult {
                columns: answer.columns,
                rows: answer.rows.into_iter().map(row).collect(),
            }
        }
    };
}

pub(super) use conversions;
