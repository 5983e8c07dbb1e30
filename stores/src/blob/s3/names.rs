//! Keys of objects in the bucket: `<prefix>/<store id>/<name>`, with the name escaped so that no server
//! and no tool can read more into it.
//!
//! ASCII letters, digits, `-` and `.` stay; every other byte is `_` and two hexadecimal digits, and so is
//! a `.` that would begin a segment. After each 200 characters comes `+/`, since servers that keep objects
//! in files bound the length of a segment; `+` is never part of a name, so that no object is a folder of
//! another. Distinct names have distinct keys.

use object_store::path::Path;

use crate::StoreId;

/// Characters of one segment, without the mark that another follows.
const SEGMENT: usize = 200;
/// S3's own bound on a key, in bytes.
const KEY_BYTES: usize = 1024;
const ANOTHER_FOLLOWS: &str = "+/";

/// What all keys of a Store begin with, without a slash at the end.
pub(super) fn of_store(prefix: &str, store: StoreId) -> Path {
    Path::from(format!("{prefix}/{store}"))
}

/// The key of an object.
///
/// # Errors
/// It would be longer than S3 allows: how many bytes it would have, and how many it may have.
pub(super) fn of_object(prefix: &str, store: StoreId, name: &str) -> Result<Path, (usize, usize)> {
    let key = format!("{prefix}/{store}/{}", escape(name));
    if key.len() > KEY_BYTES {
        let around = prefix.len() + store.to_string().len() + 2;
        return Err((key.len() - around, KEY_BYTES - around));
    }
    Ok(Path::from(key))
}

/// The name of the object with this key; `None`: it is none of ours.
pub(super) fn object_of(prefix: &str, store: StoreId, key: &Path) -> Option<String> {
    let start = format!("{prefix}/{store}/");
    let escaped = key.as_ref().strip_prefix(&start)?;
    let name = unescape(escaped)?;
    // What somebody else put there may mean the same name.
    (escape(&name) == escaped).then_some(name)
}

fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    let mut segment = 0;
    for byte in name.bytes() {
        if segment >= SEGMENT {
            escaped.push_str(ANOTHER_FOLLOWS);
            segment = 0;
        }
        let before = escaped.len();
        match byte {
            b'.' if segment == 0 => escaped.push_str("_2E"),
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("_{byte:02X}")),
        }
        segment += escaped.len() - before;
    }
    escaped
}

fn unescape(escaped: &str) -> Option<String> {
    let joined = escaped.replace(ANOTHER_FOLLOWS, "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'_' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_are_plain_keys() {
        for (name, escaped) in [
            ("photo.jpg", "photo.jpg"),
            ("../a", "_2E._2Fa"),
            (".", "_2E"),
            ("a/b//c/", "a_2Fb_2F_2Fc_2F"),
            ("a_2E", "a_5F2E"),
            ("\0\n", "_00_0A"),
            ("%2F*?", "_252F_2A_3F"),
            ("é", "_C3_A9"),
        ] {
            assert_eq!(escape(name), escaped);
        }
        let long = "x".repeat(401);
        let escaped = escape(&long);
        let segments: Vec<_> = escaped.split('/').map(str::len).collect();
        assert_eq!(segments, [201, 201, 1]);
        assert!(of_object("shoal", StoreId::random(), &"/".repeat(400)).is_err());
    }

    proptest! {
        #[test]
        fn a_name_comes_back_from_its_key(name in "\\PC{1,100}|[a-z./_+%]{1,300}") {
            let store = StoreId::random();
            let key = of_object("p", store, &name);
            if let Ok(key) = key {
                prop_assert_eq!(object_of("p", store, &key), Some(name.clone()));
                prop_assert_eq!(object_of("p", StoreId::random(), &key), None);
                let segments = key.as_ref().split('/');
                for segment in segments {
                    prop_assert!(!segment.is_empty() && !segment.starts_with('.'));
                    prop_assert!(segment.len() <= 255);
                }
            }
        }

        #[test]
        fn no_object_is_a_folder_of_another(one in "[a-z./]{1,450}", more in "[a-z./]{1,300}") {
            let (short, long) = (escape(&one), escape(&format!("{one}{more}")));
            let folder = format!("{}/", short);
            prop_assert!(!long.starts_with(&folder));
        }

        #[test]
        fn what_is_no_key_of_ours_is_no_name(escaped in "[a-zA-F0-9_+/.%]{0,20}") {
            if let Some(name) = unescape(&escaped) && escape(&name) == escaped {
                prop_assert_eq!(unescape(&escape(&name)), Some(name));
            }
        }
    }
}
