//! Every case of a label.

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
    ]
}
