//! Sizes and times as people write them in manifests.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A size in bytes: a number, or a number with one of `k`, `M`, `G`, `Ki`, `Mi`, `Gi`.
///
/// Keeps the spelling it was read with, so that writing an object back changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteQuantity {
    bytes: u64,
    spelling: Spelling,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Spelling {
    Number,
    Text(String),
}

/// A time span: a number with one of `ms`, `s`, `m`, `h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    duration: Duration,
    spelling: String,
}

/// A text that is neither a size nor a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not a size.
    #[error(
        "`{0}` is not a size such as `128Mi` (a positive number of at most 9 digits, then k, M, G, Ki, Mi, Gi or nothing)"
    )]
    Size(String),
    /// Not a time.
    #[error(
        "`{0}` is not a time such as `30s` (a positive number of at most 6 digits, then ms, s, m or h)"
    )]
    Time(String),
}

const SIZE_PATTERN: &str = "^[1-9][0-9]{0,8}(k|M|G|Ki|Mi|Gi)?$";
const TIME_PATTERN: &str = "^[1-9][0-9]{0,5}(ms|s|m|h)$";

impl ByteQuantity {
    /// The size in bytes; never 0.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Period {
    /// The time span; never zero.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// Splits `128Mi` into 128 and `Mi`; `None` unless the number is positive and short.
fn split_number(text: &str, digits: usize) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.starts_with('0') || number.len() > digits {
        return None;
    }
    Some((number.parse().ok()?, unit))
}

impl FromStr for ByteQuantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidQuantity::Size(text.chars().take(32).collect());
        let (number, unit) = split_number(text, 9).ok_or_else(invalid)?;
        let factor = match unit {
            "" => 1,
            "k" => 1000,
            "M" => 1000 * 1000,
            "G" => 1000 * 1000 * 1000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err(invalid()),
        };
        Ok(Self {
            bytes: number * factor,
            spelling: Spelling::Text(text.to_owned()),
        })
    }
}

impl FromStr for Period {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidQuantity::Time(text.chars().take(32).collect());
        let (number, unit) = split_number(text, 6).ok_or_else(invalid)?;
        let duration = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number * 60),
            "h" => Duration::from_secs(number * 3600),
            _ => return Err(invalid()),
        };
        Ok(Self {
            duration,
            spelling: text.to_owned(),
        })
    }
}

impl fmt::Display for ByteQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spelling {
            Spelling::Number => self.bytes.fmt(f),
            Spelling::Text(text) => text.fmt(f),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelling.fmt(f)
    }
}

impl<'de> Deserialize<'de> for ByteQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(u64),
            Text(String),
        }
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Text(text) => text.parse().map_err(D::Error::custom),
            NumberOrText::Number(bytes) => {
                let _in_range: Self = bytes.to_string().parse().map_err(D::Error::custom)?;
                Ok(Self {
                    bytes,
                    spelling: Spelling::Number,
                })
            }
        }
    }
}

impl Serialize for ByteQuantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.spelling {
            Spelling::Number => serializer.serialize_u64(self.bytes),
            Spelling::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelling)
    }
}

impl JsonSchema for ByteQuantity {
    fn schema_name() -> Cow<'static, str> {
        "ByteQuantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": SIZE_PATTERN,
            "maxLength": 11,
            "minimum": 1,
            "maximum": 999_999_999,
        })
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": TIME_PATTERN, "maxLength": 8})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_spelling() {
        for (json, bytes) in [
            ("\"128Mi\"", 128 << 20),
            ("4096", 4096),
            ("\"1G\"", 1_000_000_000),
        ] {
            let size: ByteQuantity = serde_json::from_str(json).unwrap();
            assert_eq!(size.bytes(), bytes);
            assert_eq!(serde_json::to_string(&size).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_size_is_refused_by_name() {
        for json in [
            "\"\"",
            "0",
            "\"0\"",
            "\"1Ti\"",
            "\"-1\"",
            "\"1.5Gi\"",
            "9999999999",
            "\"Mi\"",
        ] {
            assert!(
                serde_json::from_str::<ByteQuantity>(json).is_err(),
                "{json} was accepted"
            );
        }
        let error = "12 Mi".parse::<ByteQuantity>().unwrap_err().to_string();
        assert!(error.contains("`12 Mi`"), "{error}");
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(
            "30s".parse::<Period>().unwrap().duration(),
            Duration::from_secs(30)
        );
        assert_eq!(
            "1h".parse::<Period>().unwrap().duration(),
            Duration::from_secs(3600)
        );
        for text in ["30", "0s", "", "s", "1d", "1m30s", "1000000s"] {
            assert!(text.parse::<Period>().is_err(), "{text} was accepted");
        }
    }
}
