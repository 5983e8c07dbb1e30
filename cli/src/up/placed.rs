//! Where each label of each App went, for whoever runs them; never a credential.

use std::collections::BTreeMap;
use std::fmt;

use shoal_crds::Interface;

use super::bindings::AppLabel;
use super::resolve::{Place, Source};
use super::store_flag::StoreFlag;

/// A line for each label.
#[derive(Debug, Default)]
pub struct Placed(BTreeMap<(String, String, Interface), String>);

impl Placed {
    /// Takes a label in: `place` is a class or a flag.
    pub fn add(&mut self, wanted: AppLabel<'_>, place: String, backend: &str, notes: Vec<String>) {
        let AppLabel {
            namespace,
            app,
            label,
            interface,
        } = wanted;
        let app = format!("{namespace}/{app}");
        let mut line = format!(
            "{app}: label `{label}` ({}) is in {place}, backend {backend}",
            interface.as_str()
        );
        for note in notes {
            line.push_str("; ");
            line.push_str(&note);
        }
        self.0.insert((app, label.to_owned(), interface), line);
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.values().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// What is to be known of a label that is elsewhere without the flag.
pub fn instead_of(place: &Place) -> String {
    let class = &place.class;
    match place.by {
        Source::Earlier => format!(
            "what it wrote to class `{class}` before stays there, and is back without --store"
        ),
        _ => format!("without --store it would be in class `{class}`"),
    }
}

/// What is to be known of a label that has the name of a flag, and is no key-value store.
pub fn beside_flag(flag: &StoreFlag) -> String {
    format!("{} is for its key-value store alone", flag.class())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_its_line_however_many_components_open_it() {
        let mut placed = Placed::default();
        let label = |interface| AppLabel {
            namespace: "shop",
            app: "cart",
            label: "default",
            interface,
        };
        for _ in 0..2 {
            let class = "class `fast`".to_owned();
            placed.add(label(Interface::KeyValue), class, "memory", Vec::new());
        }
        let notes = vec!["one".to_owned(), "two".to_owned()];
        let class = "class `embedded`".to_owned();
        placed.add(label(Interface::Sql), class, "embedded", notes);
        assert_eq!(
            placed.to_string(),
            "shop/cart: label `default` (KeyValue) is in class `fast`, backend memory\n\
             shop/cart: label `default` (Sql) is in class `embedded`, backend embedded; one; two\n"
        );
    }
}
