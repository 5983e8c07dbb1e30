//! Reading and writing YAML. The one module that names the YAML library.

use serde::{Serialize, de::DeserializeOwned};

/// Text that is no YAML, or YAML of another shape.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(#[from] serde_yaml::Error);

/// Reads one document.
///
/// # Errors
/// The text is no YAML, or not of `T`'s shape; the message gives line, column and field.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    Ok(serde_yaml::from_str(text)?)
}

/// Reads every document of a file with `---` between them; empty documents are left out.
///
/// # Errors
/// As [`from_str`].
pub fn documents<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, YamlError> {
    use serde::Deserialize as _;
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = serde_yaml::Value::deserialize(document)?;
        if !value.is_null() {
            documents.push(serde_yaml::from_value(value)?);
        }
    }
    Ok(documents)
}

/// Writes one document.
///
/// # Errors
/// The value has a shape that YAML cannot hold.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, YamlError> {
    Ok(serde_yaml::to_string(value)?)
}
