//! Every case of a label.

use shoal_crds::Interface;

/// What there is when the App `hello`, which opens `label`, is applied.
#[derive(Default)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) classes: &'static [(&'static str, &'static str)],
    pub(super) namespace: &'static [(&'static str, &'static str)],
    /// Name and spec, without `id`, of Stores that were made by hand.
    pub(super) stores: &'static [(&'static str, &'static str)],
    /// `spec.stores`
    pub(super) asks: &'static str,
    pub(super) label: &'static str,
    pub(super) interface: Interface,
    /// Classes that come, or change, once the App is bound.
    pub(super) later: &'static [(&'static str, &'static str)],
    /// Of `StoresBound`.
    pub(super) says: &'static str,
    /// Store and class, if it is bound.
    pub(super) bound: Option<(&'static str, &'static str)>,
    /// What the message names.
    pub(super) names: &'static [&'static str],
}

pub(in super::super) const OWN: &str = "default: true, namespaceSelector: {matchLabels: {team: a}}";
pub(in super::super) const OTHERS: &str =
    "default: true, namespaceSelector: {matchLabels: {team: b}}";

const SQL: &str = "default: true, interface: Sql, backend: {embedded: {}}";
const FILES: &str = "default: true, interface: Blob, backend: {embedded: {}}";

pub(super) fn table() -> Vec<Case> {
    let bound = |name, classes, label, bound| Case {
        name,
        classes,
        label,
        namespace: &[("team", "a")],
        says: "True/Bound",
        bound: Some(bound),
        ..Case::default()
    };
    let fails = |name, classes, label, says, names| Case {
        name,
        classes,
        label,
        namespace: &[("team", "a")],
        says,
        names,
        ..Case::default()
    };
    vec![
        bound(
            "nothing is declared",
            &[],
            "default",
            ("hello-default", "embedded"),
        ),
        bound(
            "a class that is no default",
            &[("pg", "")],
            "default",
            ("hello-default", "embedded"),
        ),
        bound(
            "the one default",
            &[("pg", "default: true")],
            "default",
            ("hello-default", "pg"),
        ),
        bound(
            "a default for another label",
            &[("pg", "default: true, labels: [cache]")],
            "default",
            ("hello-default", "embedded"),
        ),
        bound(
            "a default that names the label",
            &[("pg", "default: true, labels: [cache]")],
            "cache",
            ("hello-cache", "pg"),
        ),
        bound(
            "a default for any label",
            &[("pg", "default: true, labels: ['*']")],
            "cache",
            ("hello-cache", "pg"),
        ),
        bound(
            "the namespace's own default before the general one",
            &[("all", "default: true"), ("own", OWN)],
            "default",
            ("hello-default", "own"),
        ),
        bound(
            "another namespace's default does not count",
            &[("all", "default: true"), ("other", OTHERS)],
            "default",
            ("hello-default", "all"),
        ),
        bound(
            "one that names the label before one for any",
            &[
                ("any", "default: true, labels: ['*']"),
                ("one", "default: true, labels: [cache]"),
            ],
            "cache",
            ("hello-cache", "one"),
        ),
        fails(
            "no class answers",
            &[],
            "cache",
            "False/NoStoreForLabel",
            &["`cache`", "component `api`"],
        ),
        fails(
            "a tie",
            &[("x", "default: true"), ("y", "default: true")],
            "default",
            "False/AmbiguousDefault",
            &["`x`, `y`", "`default`", "component `api`"],
        ),
        fails(
            "what is built in is kept from a namespace",
            &[("embedded", "namespaceSelector: {matchLabels: {team: b}}")],
            "default",
            "False/NoStoreForLabel",
            &["`default`"],
        ),
        Case {
            asks: "[{label: default, class: pg}]",
            ..bound(
                "the App names a class",
                &[("pg", ""), ("other", "default: true")],
                "default",
                ("hello-default", "pg"),
            )
        },
        Case {
            asks: "[{label: default, class: embedded}]",
            ..bound(
                "the App names what is built in",
                &[("other", "default: true")],
                "default",
                ("hello-default", "embedded"),
            )
        },
        Case {
            asks: "[{label: default, class: x}]",
            ..bound(
                "the App decides a tie",
                &[("x", "default: true"), ("y", "default: true")],
                "default",
                ("hello-default", "x"),
            )
        },
        Case {
            asks: "[{label: default, class: gone}]",
            ..fails(
                "a class that is not there",
                &[],
                "default",
                "False/StoreClassNotFound",
                &["`gone`"],
            )
        },
        Case {
            asks: "[{label: default, class: other}]",
            ..fails(
                "a class that is not for the namespace",
                &[("other", OTHERS)],
                "default",
                "False/StoreClassNotAllowed",
                &["`other`", "`shop`"],
            )
        },
        Case {
            asks: "[{label: default, store: theirs}]",
            stores: &[("theirs", "{app: someone, label: data, className: pg}")],
            ..bound(
                "the App names another App's Store",
                &[("pg", "")],
                "default",
                ("theirs", "pg"),
            )
        },
        Case {
            asks: "[{label: default, store: gone}]",
            ..fails(
                "a Store that is not there",
                &[],
                "default",
                "False/StoreNotFound",
                &["`gone`", "`shop`"],
            )
        },
        Case {
            stores: &[("mine", "{app: hello, label: default, className: pg}")],
            ..bound(
                "a Store made by hand chooses its class",
                &[("pg", ""), ("other", "default: true")],
                "default",
                ("mine", "pg"),
            )
        },
        Case {
            stores: &[("mine", "{app: hello, label: default, className: gone}")],
            ..fails(
                "a Store made by hand of a class that is not there",
                &[],
                "default",
                "False/StoreClassNotFound",
                &["`mine`", "`gone`"],
            )
        },
        Case {
            stores: &[("mine", "{app: hello, label: default, className: other}")],
            ..fails(
                "a Store made by hand of a class that is not for the namespace",
                &[("other", OTHERS)],
                "default",
                "False/StoreClassNotAllowed",
                &["`mine`", "`other`", "`shop`"],
            )
        },
        Case {
            asks: "[{label: default, class: pg}]",
            stores: &[("mine", "{app: hello, label: default}")],
            ..fails(
                "the App names a class and the data is in another",
                &[("pg", "")],
                "default",
                "False/StoreMismatch",
                &["`mine`", "`embedded`", "`pg`"],
            )
        },
        fails(
            "a tie of classes that are both for the namespace",
            &[("all", "default: true"), ("x", OWN), ("y", OWN)],
            "default",
            "False/AmbiguousDefault",
            &["`x`, `y`", "`default`", "component `api`"],
        ),
        bound(
            "classes for two namespaces are no tie",
            &[("x", OWN), ("y", OTHERS)],
            "default",
            ("hello-default", "x"),
        ),
        Case {
            interface: Interface::Sql,
            ..bound(
                "a database, and nothing is declared",
                &[],
                "default",
                ("hello-default-sql", "embedded"),
            )
        },
        Case {
            interface: Interface::Sql,
            ..bound(
                "a default for keys does not answer a database",
                &[("pg", "default: true")],
                "default",
                ("hello-default-sql", "embedded"),
            )
        },
        Case {
            interface: Interface::Sql,
            ..bound(
                "a default for databases",
                &[("pg", "default: true"), ("sql", SQL)],
                "default",
                ("hello-default-sql", "sql"),
            )
        },
        Case {
            interface: Interface::Sql,
            ..fails(
                "a tie of classes for databases",
                &[("x", SQL), ("y", SQL)],
                "default",
                "False/AmbiguousDefault",
                &["`x`, `y`", "`default`"],
            )
        },
        Case {
            interface: Interface::Sql,
            asks: "[{label: default, interface: Sql, class: pg}]",
            ..fails(
                "the App names a class for keys and opens a database",
                &[("pg", "default: true")],
                "default",
                "False/StoreMismatch",
                &["`pg`", "`Sql`"],
            )
        },
        Case {
            interface: Interface::Blob,
            ..fails(
                "objects, and nothing is declared",
                &[("pg", "default: true"), ("sql", SQL)],
                "default",
                "False/NoStoreForLabel",
                &["`default`", "component `api`"],
            )
        },
        Case {
            interface: Interface::Blob,
            ..bound(
                "a default for objects",
                &[("files", FILES)],
                "default",
                ("hello-default-blob", "files"),
            )
        },
        Case {
            interface: Interface::Blob,
            asks: "[{label: default, interface: Blob, class: embedded}]",
            ..bound(
                "the App has its objects in what is built in",
                &[],
                "default",
                ("hello-default-blob", "embedded"),
            )
        },
        Case {
            later: &[("pg", "default: true")],
            names: &["`default` stays", "`embedded`", "`pg`"],
            ..bound(
                "a default that comes later moves nothing",
                &[],
                "default",
                ("hello-default", "embedded"),
            )
        },
        Case {
            later: &[("x", "default: true"), ("y", "default: true")],
            ..bound(
                "a tie that comes later is none of who is bound",
                &[],
                "default",
                ("hello-default", "embedded"),
            )
        },
        Case {
            later: &[("pg", "")],
            ..bound(
                "a class that is no default any more keeps whom it has",
                &[("pg", "default: true")],
                "default",
                ("hello-default", "pg"),
            )
        },
        Case {
            later: &[("own", OTHERS)],
            ..bound(
                "a class that is not for the namespace any more keeps whom it has",
                &[("own", OWN)],
                "default",
                ("hello-default", "own"),
            )
        },
        Case {
            interface: Interface::Blob,
            later: &[("files", FILES), ("more", FILES)],
            asks: "[{label: default, interface: Blob, class: embedded}]",
            ..bound(
                "objects stay where they are as well",
                &[],
                "default",
                ("hello-default-blob", "embedded"),
            )
        },
    ]
}
