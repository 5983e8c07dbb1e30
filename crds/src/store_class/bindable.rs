//! Whether something new may be bound to a class.

use std::collections::BTreeMap;

use super::StoreClassSpec;
use crate::{EMBEDDED_CLASS, Interface, Reason};

/// Why nothing may be bound to a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbindable {
    /// Of the condition `StoresBound`.
    pub reason: Reason,
    /// With the class by name.
    pub message: String,
}

/// Whether a Store of `interface` in `namespace`, which has these labels, may be bound to the class `name`;
/// `class` is what is declared under that name. The class `embedded` is there without it, for every interface.
///
/// # Errors
/// It may not, and why.
pub fn may_bind(
    (name, class): (&str, Option<&StoreClassSpec>),
    interface: Interface,
    (namespace, labels): (&str, &BTreeMap<String, String>),
) -> Result<(), Unbindable> {
    let refused = |reason, message| Err(Unbindable { reason, message });
    let Some(class) = class else {
        if name == EMBEDDED_CLASS {
            return Ok(());
        }
        let text = format!("StoreClass `{name}` does not exist");
        return refused(Reason::StoreClassNotFound, text);
    };
    if class.interface != interface && name != EMBEDDED_CLASS {
        let (is, wanted) = (class.interface.as_str(), interface.as_str());
        let text = format!("StoreClass `{name}` is of interface `{is}`, not `{wanted}`");
        return refused(Reason::StoreMismatch, text);
    }
    if !class.may_be_used_by(labels) {
        let text = format!(
            "StoreClass `{name}` is not for namespace `{namespace}`: its `namespaceSelector` does not match"
        );
        return refused(Reason::StoreClassNotAllowed, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_bound_by_its_interface_and_in_its_namespaces() {
        let spec = |yaml: &str| crate::yaml::from_str::<StoreClassSpec>(yaml).unwrap();
        let sql = spec("{interface: Sql, backend: {embedded: {}}}");
        let team = spec("{backend: {embedded: {}}, namespaceSelector: {matchLabels: {team: a}}}");
        let (kv, of_sql) = (Interface::KeyValue, Interface::Sql);
        let (of_a, of_b) = ("a", "b");
        let rows = [
            ("any", None, kv, of_a, Some(Reason::StoreClassNotFound)),
            ("embedded", None, Interface::Blob, of_a, None),
            ("any", Some(&sql), of_sql, of_a, None),
            ("any", Some(&sql), kv, of_a, Some(Reason::StoreMismatch)),
            ("any", Some(&team), kv, of_a, None),
            (
                "any",
                Some(&team),
                kv,
                of_b,
                Some(Reason::StoreClassNotAllowed),
            ),
            ("embedded", Some(&team), of_sql, of_a, None),
            (
                "embedded",
                Some(&team),
                of_sql,
                of_b,
                Some(Reason::StoreClassNotAllowed),
            ),
        ];
        for (name, class, interface, team, reason) in rows {
            let labels = [("team".to_owned(), team.to_owned())].into();
            let found = may_bind((name, class), interface, ("shop", &labels));
            let found = found.err().map(|refused| refused.reason);
            assert_eq!(found, reason, "{name} {class:?} {interface:?} {team}");
        }
    }
}
