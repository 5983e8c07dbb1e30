//! `Debug` of messages with secrets in them: shape and sizes, never content.

use std::fmt;

use crate::v1;

impl fmt::Debug for v1::SignRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignRequest")
            .field("token_bytes", &self.token.len())
            .field("csr_bytes", &self.csr.len())
            .finish()
    }
}

impl fmt::Debug for v1::ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSource")
            .field("image", &self.image)
            .field("pull_secrets", &self.pull_secrets.len())
            .field("registries", &self.registries)
            .finish()
    }
}

impl fmt::Debug for v1::Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut env_names: Vec<&String> = self.env.keys().collect();
        env_names.sort();
        f.debug_struct("Component")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .field("routes", &self.routes)
            .field("env_names", &env_names)
            .field("stores", &self.stores)
            .finish()
    }
}

impl fmt::Debug for v1::Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("key_bytes", &self.key.len())
            .field("value_bytes", &self.value.len())
            .finish()
    }
}

impl fmt::Debug for v1::Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("found", &self.found)
            .field("data_bytes", &self.data.len())
            .finish()
    }
}

impl fmt::Debug for v1::PostgresBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBackend")
            .field("url_bytes", &self.url.len())
            .field("ca_pem_bytes", &self.ca_pem.len())
            .field("max_connections", &self.max_connections)
            .field("prefix", &self.prefix)
            .field("place", &self.place)
            .finish()
    }
}

impl fmt::Debug for v1::RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend")
            .field("url_bytes", &self.url.len())
            .field("ca_pem_bytes", &self.ca_pem.len())
            .field("max_connections", &self.max_connections)
            .field("prefix", &self.prefix)
            .field("place", &self.place)
            .finish()
    }
}

impl fmt::Debug for v1::S3Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Backend")
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("ca_pem_bytes", &self.ca_pem.len())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::ReadObjectResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadObjectResponse")
    }
}

impl fmt::Debug for v1::read_object_response::Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part")
    }
}

impl fmt::Debug for v1::WriteObjectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteObjectRequest")
    }
}

impl fmt::Debug for v1::write_object_request::Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part")
    }
}

impl fmt::Debug for v1::ExecuteRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecuteRequest")
            .field("store_id", &self.store_id)
            .field("state", &self.state)
            .field("statement_bytes", &self.statement.len())
            .field("parameters", &self.parameters.len())
            .finish()
    }
}

impl fmt::Debug for v1::ExecuteResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecuteResponse")
            .field("columns", &self.columns.len())
            .field("rows", &self.rows.len())
            .field("in_transaction", &self.in_transaction)
            .finish()
    }
}

impl fmt::Debug for v1::SqlRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlRow")
            .field("values", &self.values.len())
            .finish()
    }
}

impl fmt::Debug for v1::SqlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlValue")
    }
}

impl fmt::Debug for v1::sql_value::Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_secret() {
        let secret = "s3cr3t-value";
        let texts = [
            format!(
                "{:?}",
                v1::SignRequest {
                    token: secret.into(),
                    csr: secret.into()
                }
            ),
            format!(
                "{:?}",
                v1::BuildRequest {
                    source: Some(v1::ImageSource {
                        pull_secrets: vec![secret.into()],
                        ..Default::default()
                    }),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::Component {
                    env: [("NAME".to_owned(), secret.to_owned())].into(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::SetRequest {
                    pairs: vec![v1::Pair {
                        key: secret.into(),
                        value: secret.into()
                    }],
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::Value {
                    found: true,
                    data: secret.into()
                }
            ),
            format!(
                "{:?}",
                v1::PostgresBackend {
                    url: secret.into(),
                    ca_pem: secret.into(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::RedisBackend {
                    url: secret.into(),
                    ca_pem: secret.into(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::S3Backend {
                    endpoint: secret.into(),
                    access_key_id: secret.into(),
                    secret_access_key: secret.into(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::WriteObjectRequest {
                    part: Some(v1::write_object_request::Part::Content(secret.into()))
                }
            ),
        ];
        for text in texts {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
