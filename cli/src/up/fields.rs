//! Fields that an API server would refuse or drop: a manifest that runs here must run there.

use serde_json::Value;

/// The path of the first field of `written` that is not in `read`, which is `written` read into a type
/// and written again. Fields without a value do not count: a type leaves those out.
pub fn unknown(written: &Value, read: &Value, path: &str) -> Option<String> {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => written.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match read.get(key) {
                Some(read) => unknown(value, read, &path),
                None => (!is_empty(value)).then_some(path),
            }
        }),
        (Value::Array(written), Value::Array(read)) => {
            let pairs = written.iter().zip(read).enumerate();
            pairs.into_iter().find_map(|(index, (written, read))| {
                unknown(written, read, &format!("{path}[{index}]"))
            })
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_not_read_is_found_at_any_depth() {
        let read = json!({"image": "a", "list": [{"name": "x"}]});
        assert_eq!(unknown(&json!({"image": "a"}), &read, "spec"), None);
        assert_eq!(
            unknown(&json!({"imgae": "a"}), &read, "spec").unwrap(),
            "spec.imgae"
        );
        let deep = json!({"list": [{"name": "x", "nmae": "y"}]});
        assert_eq!(unknown(&deep, &read, "spec").unwrap(), "spec.list[0].nmae");
    }

    #[test]
    fn an_empty_field_is_as_good_as_none() {
        let written = json!({"env": [], "limits": {}, "image": null});
        assert_eq!(unknown(&written, &json!({}), "spec"), None);
    }
}
