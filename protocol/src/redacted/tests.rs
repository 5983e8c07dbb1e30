use std::fmt::Debug;

use crate::v1::{self, read_object_response, sql_value, write_object_request};

const SECRET: &str = "s3cr3t-value";

fn one(name: &'static str, message: impl Debug) -> (&'static str, String) {
    (name, format!("{message:?}"))
}

/// Every message that the rule of `build.rs` finds, with the secret wherever it may be.
fn all() -> Vec<(&'static str, String)> {
    let map = || [("NAME".to_owned(), SECRET.to_owned())].into();
    vec![
        one(
            "SignRequest",
            v1::SignRequest {
                token: SECRET.into(),
                csr: SECRET.into(),
            },
        ),
        one(
            "ImageSource",
            v1::ImageSource {
                pull_secrets: vec![SECRET.into()],
                ..Default::default()
            },
        ),
        one(
            "Component",
            v1::Component {
                env: map(),
                variables: map(),
                ..Default::default()
            },
        ),
        one(
            "ComponentDescription",
            v1::ComponentDescription {
                env: map(),
                variables: map(),
                ..Default::default()
            },
        ),
        one(
            "VariableDeclaration",
            v1::VariableDeclaration {
                default_value: Some(SECRET.into()),
            },
        ),
        one(
            "Pair",
            v1::Pair {
                key: SECRET.into(),
                value: SECRET.into(),
            },
        ),
        one(
            "Value",
            v1::Value {
                found: true,
                data: SECRET.into(),
            },
        ),
        one(
            "CompareAndSwapRequest",
            v1::CompareAndSwapRequest {
                key: SECRET.into(),
                expected: Some(v1::Value {
                    found: true,
                    data: SECRET.into(),
                }),
                value: SECRET.into(),
                ..Default::default()
            },
        ),
        one(
            "PostgresBackend",
            v1::PostgresBackend {
                url: SECRET.into(),
                ca_pem: SECRET.into(),
                ..Default::default()
            },
        ),
        one(
            "RedisBackend",
            v1::RedisBackend {
                url: SECRET.into(),
                ca_pem: SECRET.into(),
                ..Default::default()
            },
        ),
        one(
            "S3Backend",
            v1::S3Backend {
                endpoint: SECRET.into(),
                access_key_id: SECRET.into(),
                secret_access_key: SECRET.into(),
                ca_pem: SECRET.into(),
                ..Default::default()
            },
        ),
        one(
            "ExecuteRequest",
            v1::ExecuteRequest {
                session: SECRET.into(),
                statement: SECRET.into(),
                parameters: vec![text()],
                ..Default::default()
            },
        ),
        one(
            "ExecuteResponse",
            v1::ExecuteResponse {
                columns: vec![SECRET.into()],
                rows: vec![v1::SqlRow {
                    values: vec![text()],
                }],
                ..Default::default()
            },
        ),
        one("SqlValue", text()),
        one(
            "CloseRequest",
            v1::CloseRequest {
                session: SECRET.into(),
                ..Default::default()
            },
        ),
        one(
            "ReadObjectResponse",
            v1::ReadObjectResponse {
                part: Some(read_object_response::Part::Content(SECRET.into())),
            },
        ),
        one(
            "WriteObjectRequest",
            v1::WriteObjectRequest {
                part: Some(write_object_request::Part::Content(SECRET.into())),
            },
        ),
        one(
            "CodeChunk",
            v1::CodeChunk {
                part: Some(v1::code_chunk::Part::Data(SECRET.into())),
            },
        ),
    ]
}

fn text() -> v1::SqlValue {
    v1::SqlValue {
        value: Some(sql_value::Value::Text(SECRET.into())),
    }
}

#[test]
fn debug_output_holds_no_secret() {
    // As its bytes would be printed, too.
    let listed = format!("{:?}", SECRET.as_bytes());
    for (name, text) in all() {
        assert!(!text.contains(SECRET) && !text.contains(&listed), "{text}");
        assert!(text.starts_with(name), "{text}");
    }
}

#[test]
fn whatever_may_carry_a_secret_is_looked_at() {
    let mut looked_at: Vec<_> = all().into_iter().map(|(name, _)| name).collect();
    looked_at.sort_unstable();
    let mut redacted: Vec<_> = env!("SHOAL_REDACTED").split(',').collect();
    redacted.sort_unstable();
    assert_eq!(looked_at, redacted);
}

#[test]
fn what_holds_such_a_message_prints_it_as_it_prints_itself() {
    let source = v1::ImageSource {
        pull_secrets: vec![SECRET.into()],
        ..Default::default()
    };
    let request = v1::BuildRequest {
        source: Some(source),
        ..Default::default()
    };
    let backend = v1::RedisBackend {
        url: SECRET.into(),
        ..Default::default()
    };
    let class = v1::StoreClass {
        backend: Some(v1::store_class::Backend::Redis(backend)),
        ..Default::default()
    };
    for text in [format!("{request:?}"), format!("{class:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
