//! What one runtime was told of StoreClasses.

use std::collections::{BTreeMap, BTreeSet};

use shoal_protocol::v1::to_runtime::Message;

use crate::classes::ClassBook;

/// Classes that a runtime needs, and what it was told of them by this leader.
#[derive(Default)]
pub(super) struct Classes {
    wanted: BTreeSet<String>,
    /// Names and versions, and what it is to keep; `None`: nothing yet.
    told: Option<(BTreeMap<String, u64>, BTreeSet<String>)>,
}

impl Classes {
    /// Another leader: everything is to be told again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Before assignments that need `wanted`: the message with those, and with what earlier ones need that may still
    /// run; `None`: it knows them, or nothing was looked at yet.
    pub(super) fn before(
        &mut self,
        wanted: &BTreeSet<String>,
        book: &ClassBook,
    ) -> Option<Message> {
        self.wanted.extend(wanted.iter().cloned());
        self.again(book)
    }

    /// After them: the message with `wanted` alone, if it knows of others.
    pub(super) fn after(&mut self, wanted: &BTreeSet<String>, book: &ClassBook) -> Option<Message> {
        self.wanted.clone_from(wanted);
        self.again(book)
    }

    /// The message with what it needs, if that is news.
    pub(super) fn again(&mut self, book: &ClassBook) -> Option<Message> {
        let picked = book.pick(&self.wanted)?;
        let versions = picked.versions();
        if self.told.as_ref() == Some(&versions) {
            return None;
        }
        self.told = Some(versions);
        Some(Message::StoreClasses(picked.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::{
        Seen,
        tests::{book, names, redis},
    };

    fn told(message: Option<Message>) -> Option<Vec<String>> {
        match message? {
            Message::StoreClasses(all) => {
                Some(all.classes.into_iter().map(|class| class.name).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn list(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_runtime_knows_exactly_what_it_needs_and_loses_nothing_too_early() {
        let book = book(["a", "b", "c"].map(|name| redis(name, "redis://h")));
        let mut classes = Classes::default();
        assert_eq!(told(classes.before(&names(&["a"]), &book)), list(&["a"]));
        assert_eq!(told(classes.after(&names(&["a"]), &book)), None);
        assert_eq!(
            told(classes.before(&names(&["b"]), &book)),
            list(&["a", "b"])
        );
        assert_eq!(told(classes.after(&names(&["b"]), &book)), list(&["b"]));
        assert_eq!(told(classes.before(&names(&["b"]), &book)), None);
        assert_eq!(told(classes.after(&names(&[]), &book)), list(&[]));
    }

    #[test]
    fn other_credentials_are_told_to_who_needs_them() {
        let book = book([redis("a", "redis://one"), redis("b", "redis://one")]);
        let mut classes = Classes::default();
        classes.before(&names(&["a"]), &book);
        book.publish([redis("a", "redis://one"), redis("b", "redis://two")].into());
        assert_eq!(told(classes.again(&book)), None);
        book.publish([redis("a", "redis://two"), redis("b", "redis://two")].into());
        assert_eq!(told(classes.again(&book)), list(&["a"]));
        let without = ("a".to_owned(), Seen::NoCredentials);
        book.publish([without, redis("b", "redis://two")].into());
        assert_eq!(told(classes.again(&book)), list(&[]));
    }

    #[test]
    fn a_class_that_is_not_known_is_kept_and_holds_up_no_other() {
        let book = book([redis("a", "redis://one"), redis("b", "redis://one")]);
        let mut classes = Classes::default();
        let Some(Message::StoreClasses(all)) = classes.before(&names(&["a", "b", "late"]), &book)
        else {
            panic!("it is told of what is known");
        };
        assert_eq!(all.keep, ["late"]);
        book.publish(
            [
                redis("a", "redis://two"),
                ("b".to_owned(), Seen::Unreadable),
            ]
            .into(),
        );
        assert_eq!(told(classes.again(&book)), list(&["a", "b"]));
        book.publish([redis("a", "redis://two"), redis("late", "redis://l")].into());
        let Some(Message::StoreClasses(all)) = classes.again(&book) else {
            panic!("it is told of what is new");
        };
        assert_eq!(all.keep, ["b"]);
        assert_eq!(all.classes.len(), 2);
    }

    #[test]
    fn a_runtime_that_needs_none_is_told_so_once() {
        let book = book([]);
        let mut classes = Classes::default();
        assert_eq!(told(classes.before(&names(&[]), &book)), list(&[]));
        assert_eq!(told(classes.again(&book)), None);
    }
}
