//! Names of new Stores.

use shoal_crds::Interface;

use crate::{AppKey, Index, Label, hash};

const LONGEST: usize = 253;

/// `<app>-<label>`, and `-sql` for a database or `-blob` for objects, with eight hex digits of a hash where that is taken or no DNS name.
pub(super) fn of_new(index: &Index, app: &AppKey, (interface, label): &Label) -> String {
    let suffix = match interface {
        Interface::KeyValue => "",
        Interface::Sql => "-sql",
        Interface::Blob => "-blob",
    };
    let plain = format!("{}-{label}{suffix}", app.name);
    let is_name = is_dns_name(&plain);
    if is_name && index.stores.get(&app.sibling(&plain)).is_none() {
        return plain;
    }
    let stem = if is_name { plain.as_str() } else { &app.name };
    let what = format!("{}\0{label}\0{}", app.name, interface.as_str());
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
