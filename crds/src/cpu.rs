//! Shares of a processor as people write them in manifests.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Processors: a number, or thousandths of one with `m`.
///
/// Keeps the spelling it was read with, so that writing an object back changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuQuantity {
    millis: u32,
    spelling: Spelling,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Spelling {
    Number,
    Text(String),
}

/// A text that is no number of processors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no number of processors such as `500m` or `2` (a positive number of at most 4 digits, or of at \
     most 6 with `m`)"
)]
pub struct InvalidCpu(String);

const PATTERN: &str = "^([1-9][0-9]{0,3}|[1-9][0-9]{0,5}m)$";
const MOST: u32 = 9999;

impl CpuQuantity {
    /// Thousandths of a processor; never 0.
    pub fn millis(&self) -> u32 {
        self.millis
    }
}

impl FromStr for CpuQuantity {
    type Err = InvalidCpu;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCpu(text.chars().take(32).collect());
        let (number, digits, unit) = match text.strip_suffix('m') {
            Some(number) => (number, 6, 1),
            None => (text, 4, 1000),
        };
        let is_number = (1..=digits).contains(&number.len())
            && !number.starts_with('0')
            && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = number
            .parse()
            .ok()
            .filter(|_| is_number)
            .ok_or_else(invalid)?;
        Ok(Self {
            millis: number * unit,
            spelling: Spelling::Text(text.to_owned()),
        })
    }
}

impl fmt::Display for CpuQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spelling {
            Spelling::Number => (self.millis / 1000).fmt(f),
            Spelling::Text(text) => text.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for CpuQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(u64),
            Text(String),
        }
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Text(text) => text.parse().map_err(D::Error::custom),
            NumberOrText::Number(number) => {
                let read: Self = number.to_string().parse().map_err(D::Error::custom)?;
                Ok(Self {
                    spelling: Spelling::Number,
                    ..read
                })
            }
        }
    }
}

impl Serialize for CpuQuantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.spelling {
            Spelling::Number => serializer.serialize_u32(self.millis / 1000),
            Spelling::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl JsonSchema for CpuQuantity {
    fn schema_name() -> Cow<'static, str> {
        "CpuQuantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": PATTERN,
            "maxLength": 7,
            "minimum": 1,
            "maximum": MOST,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_keep_their_spelling() {
        for (json, millis) in [
            ("\"500m\"", 500),
            ("2", 2000),
            ("\"4\"", 4000),
            ("\"999999m\"", 999_999),
        ] {
            let cpu: CpuQuantity = serde_json::from_str(json).unwrap();
            assert_eq!(cpu.millis(), millis);
            assert_eq!(serde_json::to_string(&cpu).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_number_of_processors_is_refused_by_name() {
        for json in [
            "0",
            "\"0m\"",
            "\"\"",
            "\"m\"",
            "\"1.5\"",
            "\"-1\"",
            "\"1000000m\"",
            "10000",
            "\"+1m\"",
        ] {
            assert!(
                serde_json::from_str::<CpuQuantity>(json).is_err(),
                "{json} was accepted"
            );
        }
        let error = "much".parse::<CpuQuantity>().unwrap_err().to_string();
        assert!(error.contains("`much`"), "{error}");
    }
}
