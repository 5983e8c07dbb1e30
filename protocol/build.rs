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

/// Text under a name with one of these words in it is a secret, or a tenant's.
const PRIVATE: [&str; 8] = [
    "token",
    "secret",
    "password",
    "credential",
    "url",
    "value",
    "statement",
    "columns",
];
/// Bytes that are for everybody: keys that signatures are proved with, and signatures.
const PUBLIC: [&str; 3] = ["keys", "code_keys", "signature"];
/// `FieldDescriptorProto.Type`
const STRING: i32 = 9;
const BYTES: i32 = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let redacted = redacted(&descriptors);
    println!("cargo:rustc-env=SHOAL_REDACTED={}", redacted.join(","));
    tonic_prost_build::configure()
        .bytes(".")
        // Parts dial with `client::channel` alone; and `Control.Connect` would collide with `connect`.
        .build_transport(false)
        .skip_debug(redacted.iter().map(|name| format!(".shoal.v1.{name}")))
        .compile_fds(descriptors)?;
    Ok(())
}

/// Messages that may carry a token, credentials or a tenant's values: how a backend is reached, bytes of any kind,
/// texts under names that somebody chose, and texts under names that say so. `src/redacted.rs` writes their `Debug`:
/// without one there, nothing compiles that prints them.
fn redacted(descriptors: &tonic_prost_build::FileDescriptorSet) -> Vec<String> {
    let messages = descriptors.file.iter().flat_map(|file| &file.message_type);
    let is_private = messages.filter(|message| {
        let is_backend = message.name().ends_with("Backend") && !message.field.is_empty();
        let has_map = message.nested_type.iter().any(|entry| {
            let mut fields = entry.field.iter();
            fields.any(|field| field.name() == "value" && field.r#type() as i32 == STRING)
        });
        let mut fields = message.field.iter();
        let has_field = fields.any(|field| match field.r#type() as i32 {
            BYTES => !PUBLIC.contains(&field.name()),
            STRING => PRIVATE.iter().any(|word| field.name().contains(word)),
            _ => false,
        });
        is_backend || has_map || has_field
    });
    is_private
        .map(|message| message.name().to_owned())
        .collect()
}
