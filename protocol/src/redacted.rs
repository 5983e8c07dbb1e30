//! `Debug` of messages with secrets in them: shape and sizes, never content. Which they are is a rule in `build.rs`.

use std::fmt;

use crate::v1;

#[cfg(test)]
mod tests;

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
        f.debug_struct("Component")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .field("routes", &self.routes)
            .field("env_names", &sorted(self.env.keys()))
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

impl fmt::Debug for v1::CloseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseRequest")
            .field("store_id", &self.store_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CompareAndSwapRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompareAndSwapRequest")
            .field("store_id", &self.store_id)
            .field("key_bytes", &self.key.len())
            .field("expected", &self.expected)
            .field("value_bytes", &self.value.len())
            .field("limits", &self.limits)
            .field("in_memory", &self.in_memory)
            .finish()
    }
}

impl fmt::Debug for v1::VariableDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VariableDeclaration")
            .field("has_default", &self.default_value.is_some())
            .finish()
    }
}

impl fmt::Debug for v1::ComponentDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentDescription")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .field("routes", &self.routes)
            .field("env_names", &sorted(self.env.keys()))
            .field("key_value_stores", &self.key_value_stores)
            .field("imports", &self.imports)
            .field("sqlite_databases", &self.sqlite_databases)
            .field("blob_stores", &self.blob_stores)
            .field("variable_names", &sorted(self.variables.keys()))
            .finish()
    }
}

impl fmt::Debug for v1::CodeChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeChunk")
    }
}

impl fmt::Debug for v1::code_chunk::Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part")
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
