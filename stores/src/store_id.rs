//! The name under which a Store's data is reached.

use std::{fmt, str::FromStr};

/// `Store.spec.id`: a UUID that the operator alone assigns.
///
/// All data of a Store lives under this id in every backend, so that names of namespaces, apps and
/// labels can neither collide nor be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(uuid::Uuid);

/// A text that is no UUID in its canonical form (36 characters, lower case).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("store id `{0}` is not a UUID in canonical form")]
pub struct InvalidStoreId(String);

impl StoreId {
    /// The id of no Store.
    pub(crate) const NONE: Self = Self(uuid::Uuid::nil());

    /// A fresh random id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// The id of these 16 bytes, as [`Self::as_bytes`] gives them.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The 16 bytes that backends use as the key's first part.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id as databases hold it.
    pub(crate) fn uuid(&self) -> &uuid::Uuid {
        &self.0
    }
}

impl FromStr for StoreId {
    type Err = InvalidStoreId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidStoreId(text.chars().take(64).collect());
        let id = uuid::Uuid::try_parse(text).map_err(|_| invalid())?;
        // One spelling per id: other spellings that `uuid` accepts would be other names for it.
        if id.hyphenated().to_string() != text {
            return Err(invalid());
        }
        Ok(Self(id))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = StoreId::random();
        assert_eq!(id.to_string().parse::<StoreId>().unwrap(), id);
        for other in [
            id.to_string().to_uppercase(),
            format!("{{{id}}}"),
            id.to_string().replace('-', ""),
            format!("urn:uuid:{id}"),
            String::new(),
        ] {
            assert!(other.parse::<StoreId>().is_err(), "{other} was accepted");
        }
    }
}
