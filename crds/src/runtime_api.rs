//! The API `runtime.shoal.dev/v1alpha1`, which the operator serves behind the API server: what people read and
//! write beyond objects.

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta},
};
use serde::{Deserialize, Serialize};

use crate::Interface;

/// API group.
pub const RUNTIME_GROUP: &str = "runtime.shoal.dev";
/// API version.
pub const RUNTIME_VERSION: &str = "v1alpha1";
/// Media type of exports and imports: [`Line`]s.
pub const JSON_LINES: &str = "application/jsonl";

/// One line of an export or import, as JSON.
///
/// `{"key":"...","value":"<base64>"}` is an entry. The last line is `{"keys":N}`, with the number of lines
/// before it: a text that does not end with it was cut. An answer that stops before the last key of the Store
/// says so there, as `{"keys":N,"next":"..."}`: what follows is asked for with `?after=<next>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A key and its value.
    Entry(String, Vec<u8>),
    /// What the lines before were.
    End {
        /// How many they were.
        keys: u64,
        /// The key after which the rest of the Store follows; `None`: there is no rest.
        next: Option<String>,
    },
}

/// A text that is no [`Line`], and why.
#[derive(Debug, thiserror::Error)]
pub enum NoLine {
    /// No JSON, another field than those, or a value that is not base64.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Neither an entry nor the last line.
    #[error("it has neither `key` and `value` nor, as the last line has, `keys`")]
    Neither,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<ByteString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Line {
    /// Reads a line; its line feed does not matter.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &[u8]) -> Result<Self, NoLine> {
        match serde_json::from_slice(text)? {
            Fields {
                key: Some(key),
                value: Some(ByteString(value)),
                keys: None,
                next: None,
            } => Ok(Self::Entry(key, value)),
            Fields {
                key: None,
                value: None,
                keys: Some(keys),
                next,
            } => Ok(Self::End { keys, next }),
            _ => Err(NoLine::Neither),
        }
    }

    /// The line with its line feed, at the end of `text`.
    ///
    /// # Errors
    /// None that is known: every entry can be written as JSON.
    pub fn write(self, text: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut fields = Fields {
            key: None,
            value: None,
            keys: None,
            next: None,
        };
        match self {
            Self::Entry(key, value) => {
                fields.key = Some(key);
                fields.value = Some(ByteString(value));
            }
            Self::End { keys, next } => {
                fields.keys = Some(keys);
                fields.next = next;
            }
        }
        serde_json::to_writer(&mut *text, &fields)?;
        text.push(b'\n');
        Ok(())
    }
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Imported {
    /// Keys that were written.
    pub keys: u64,
}

/// Data whose Store is gone: it is kept until someone adopts or purges it. Its name is the `spec.id` that the
/// Store had.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreOrphan {
    /// `runtime.shoal.dev/v1alpha1`
    pub api_version: String,
    /// `StoreOrphan`
    pub kind: String,
    /// `name` alone.
    pub metadata: ObjectMeta,
    /// What the Store was.
    pub store: OrphanedStore,
    /// What the data is now.
    pub status: StoreOrphanStatus,
}

/// What a Store was whose data remains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedStore {
    /// Its namespace.
    pub namespace: String,
    /// The App that it was made for.
    pub app: String,
    /// The label that guests opened.
    pub label: String,
    /// What they reached it through.
    pub interface: Interface,
    /// Its StoreClass.
    pub class_name: String,
}

/// What remains of a Store. Times are RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreOrphanStatus {
    /// Keys; absent where the class cannot say now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// Bytes of keys and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When its Store was first seen.
    pub first_seen: String,
    /// Since when no Store has this id.
    pub orphan_since: String,
}

/// Orphans in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreOrphanList {
    /// `runtime.shoal.dev/v1alpha1`
    pub api_version: String,
    /// `StoreOrphanList`
    pub kind: String,
    /// `continue` where there are more than the query's `limit` (500 at most).
    pub metadata: ListMeta,
    /// They.
    pub items: Vec<StoreOrphan>,
}

/// To whom orphaned data is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adoption {
    /// Namespace of the Store that is made.
    pub namespace: String,
    /// Its name. Unset: `<app>-<label>`, with `-sql` or `-blob` after it for such an interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its `spec.app`. Unset: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its `spec.label`. Unset: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(line: Line) -> String {
        let mut text = Vec::new();
        line.clone().write(&mut text).unwrap();
        assert_eq!(Line::read(&text).unwrap(), line);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        assert_eq!(
            round(Line::Entry("k\n\"é".to_owned(), vec![0, 255])),
            "{\"key\":\"k\\n\\\"é\",\"value\":\"AP8=\"}\n"
        );
        assert_eq!(
            round(Line::Entry(String::new(), Vec::new())),
            "{\"key\":\"\",\"value\":\"\"}\n"
        );
        let end = |next| Line::End { keys: 3, next };
        assert_eq!(round(end(None)), "{\"keys\":3}\n");
        assert_eq!(
            round(end(Some("b".to_owned()))),
            "{\"keys\":3,\"next\":\"b\"}\n"
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "{\"key\":\"a\"}",
            "{\"value\":\"\"}",
            "{\"key\":\"a\",\"value\":\"*\"}",
            "{\"key\":\"a\",\"value\":\"\",\"keys\":1}",
            "{\"key\":\"a\",\"value\":\"\",\"more\":1}",
            "{\"keys\":-1}",
            "{\"next\":\"a\"}",
            "{\"key\":\"a\",\"value\":\"\"} x",
        ] {
            assert!(Line::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
