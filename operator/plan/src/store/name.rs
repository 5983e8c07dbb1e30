//! Names of new Stores.

use shoal_crds::Interface;

use crate::{AppKey, Index, Label, hash};

const LONGEST: usize = 253;

/// Of a Store that a label of `app` gets.
pub(super) fn of_new(index: &Index, app: &AppKey, (interface, label): &Label) -> String {
    let is_taken = |name: &str| index.stores.get(&app.sibling(name)).is_some();
    store_name(&app.name, label, *interface, is_taken)
}

/// Name of a new Store: `<app>-<label>`, and `-sql` for a database or `-blob` for objects, with eight hex digits of a
/// hash where that is taken or no DNS name.
pub fn store_name(
    app: &str,
    label: &str,
    interface: Interface,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let suffix = match interface {
        Interface::KeyValue => "",
        Interface::Sql => "-sql",
        Interface::Blob => "-blob",
    };
    let plain = format!("{app}-{label}{suffix}");
    let is_name = is_dns_name(&plain);
    if is_name && !is_taken(&plain) {
        return plain;
    }
    let stem = if is_name { plain.as_str() } else { app };
    let what = format!("{app}\0{label}\0{}", interface.as_str());
    let hash = hash::hex(what.as_bytes(), 4);
    format!("{}-{hash}", stem.get(..LONGEST - 9).unwrap_or(stem))
}

fn is_dns_name(name: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= LONGEST && name.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_is_for_and_is_always_one() {
        let name = |label: &str| store_name("shop", label, Interface::Sql, |_| false);
        assert_eq!(name("default"), "shop-default-sql");
        let odd = name("My_Label");
        assert!(odd.starts_with("shop-") && is_dns_name(&odd), "{odd}");
        assert_ne!(odd, name("my_label"));
        let other = store_name("shop", "default", Interface::Sql, |name| {
            name == "shop-default-sql"
        });
        assert!(other.starts_with("shop-default-sql-"), "{other}");
    }
}
