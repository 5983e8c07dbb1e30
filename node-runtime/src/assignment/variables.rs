//! What a component reads as configuration.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// Names and values, complete. Values may be secret: `Debug` shows names alone. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self(Arc::new(values.into_iter().collect()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_has_names_and_no_values() {
        let variables: Variables = [("token".to_owned(), "s3cr3t".to_owned())]
            .into_iter()
            .collect();
        let text = format!("{variables:?}");
        assert!(text.contains("token") && !text.contains("s3cr3t"), "{text}");
        assert_eq!(variables.get("token"), Some("s3cr3t"));
    }
}
