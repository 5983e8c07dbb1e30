//! Generates the messages and services of `proto/` without an installed `protoc`.

const FILES: [&str; 10] = [
    "shoal/v1/app.proto",
    "shoal/v1/blob.proto",
    "shoal/v1/builder.proto",
    "shoal/v1/certificates.proto",
    "shoal/v1/control.proto",
    "shoal/v1/grants.proto",
    "shoal/v1/housekeeping.proto",
    "shoal/v1/sql.proto",
    "shoal/v1/store.proto",
    "shoal/v1/transfer.proto",
];

/// Messages that carry a token, credentials or a tenant's values: `src/redacted.rs` writes their `Debug`.
const WITHOUT_DEBUG: [&str; 14] = [
    ".shoal.v1.SignRequest",
    ".shoal.v1.ImageSource",
    ".shoal.v1.Component",
    ".shoal.v1.Pair",
    ".shoal.v1.Value",
    ".shoal.v1.PostgresBackend",
    ".shoal.v1.RedisBackend",
    ".shoal.v1.S3Backend",
    ".shoal.v1.ExecuteRequest",
    ".shoal.v1.ExecuteResponse",
    ".shoal.v1.SqlRow",
    ".shoal.v1.SqlValue",
    ".shoal.v1.ReadObjectResponse",
    ".shoal.v1.WriteObjectRequest",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        // Parts dial with `client::channel` alone; and `Control.Connect` would collide with `connect`.
        .build_transport(false)
        .skip_debug(WITHOUT_DEBUG)
        .compile_fds(descriptors)?;
    Ok(())
}
