use shoal_crds::Interface;

use super::*;
use crate::up::declared::tests::{OBJECTS, declared};

const KV: Interface = Interface::KeyValue;

fn label<'a>(namespace: &'a str, app: &'a str, label: &'a str) -> AppLabel<'a> {
    AppLabel {
        namespace,
        app,
        label,
        interface: KV,
    }
}

fn asked(class: Option<&str>, store: Option<&str>) -> AppStore {
    AppStore {
        label: "x".into(),
        interface: KV,
        class: class.map(Into::into),
        store: store.map(Into::into),
    }
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: shoal.dev/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, spec: {spec}}}\n"
    )
}

/// Class and note of a label that is bound, and kept.
fn bound(
    declared: &Declared,
    kept: &mut Bindings,
    wanted: AppLabel<'_>,
    asked: Option<&AppStore>,
) -> Result<(String, Option<String>), String> {
    let place = declared.resolve(kept, wanted, asked)?.ok_or("no class")?;
    place.keep(wanted, kept);
    Ok((place.class, place.note))
}

#[test]
fn labels_are_resolved_as_in_a_cluster() {
    let declared = declared(OBJECTS);
    let none = Bindings::default();
    let class = |namespace, app, name, asked: Option<AppStore>| {
        let found = declared.resolve(&none, label(namespace, app, name), asked.as_ref());
        found.map(|place| place.map(|place| place.class))
    };
    let is = |class: &str| Ok(Some(class.to_owned()));
    assert_eq!(class("default", "a", "default", None), is("embedded"));
    assert_eq!(class("default", "a", "cache", None), is("fast"));
    assert_eq!(class("default", "a", "other", None), Ok(None));
    assert_eq!(class("shop", "a", "cache", None), is("team"));
    assert_eq!(class("default", "cart", "default", None), is("fast"));
    assert_eq!(class("shop", "cart", "default", None), is("team"));
    let fast = asked(Some("fast"), None);
    assert_eq!(class("shop", "a", "cache", Some(fast)), is("fast"));
    let other = asked(Some("team"), None);
    assert!(class("default", "cart", "default", Some(other)).is_err());
    let shared = asked(None, Some("shared"));
    let place = declared.resolve(&none, label("default", "b", "x"), Some(&shared));
    let place = place.unwrap().unwrap();
    assert_eq!(
        (place.app.as_str(), place.label.as_str()),
        ("cart", "default")
    );
    let elsewhere = declared.resolve(&none, label("shop", "b", "x"), Some(&shared));
    assert!(elsewhere.unwrap_err().contains("`shared`"));
}

#[test]
fn what_a_cluster_refuses_is_refused_here() {
    let team = "namespaceSelector: {matchLabels: {team: a}}";
    let text = object(
        "StoreClass",
        "team",
        &format!("{{backend: {{memory: {{}}}}, {team}}}"),
    ) + &object(
        "StoreClass",
        "files",
        "{interface: Blob, backend: {embedded: {}}}",
    ) + &object(
        "StoreClass",
        "embedded",
        &format!("{{backend: {{embedded: {{}}}}, {team}}}"),
    ) + &object(
        "Store",
        "theirs",
        "{app: cart, label: default, className: team}",
    ) + &object(
        "Store",
        "wrong",
        "{app: shop, label: default, className: files}",
    ) + &object(
        "Store",
        "gone",
        "{app: late, label: default, className: gone}",
    );
    let declared = declared(&text);
    let cases: [(_, _, &[&str]); 8] = [
        (
            "a",
            Some(asked(Some("team"), None)),
            &["`team`", "`default`", "namespaceSelector"],
        ),
        (
            "a",
            Some(asked(Some("files"), None)),
            &["`files`", "`Blob`", "`KeyValue`"],
        ),
        (
            "a",
            Some(asked(Some("none"), None)),
            &["`none`", "does not exist"],
        ),
        ("cart", None, &["`theirs`", "`team`", "namespaceSelector"]),
        (
            "b",
            Some(asked(None, Some("theirs"))),
            &["`theirs`", "`team`"],
        ),
        ("shop", None, &["`wrong`", "`files`", "`Blob`"]),
        ("late", None, &["`gone`", "does not exist"]),
        (
            "b",
            Some(asked(Some("embedded"), None)),
            &["`embedded`", "namespaceSelector"],
        ),
    ];
    for (app, asked, named) in cases {
        let found = declared.resolve(
            &Bindings::default(),
            label("default", app, "default"),
            asked.as_ref(),
        );
        let why = found.unwrap_err();
        for name in named {
            assert!(why.contains(name), "{app}: {why}");
        }
    }
    let objects = AppLabel {
        interface: Interface::Blob,
        ..label("default", "a", "default")
    };
    let why = declared.resolve(&Bindings::default(), objects, None);
    assert!(why.unwrap_err().contains("`embedded`"));
}

#[test]
fn a_binding_stays_when_another_class_becomes_the_default() {
    let mut kept = Bindings::default();
    let wanted = label("default", "cart", "default");
    let nothing = Declared::default();
    let first = bound(&nothing, &mut kept, wanted, None).unwrap();
    assert_eq!(first, ("embedded".to_owned(), None));

    let fast = declared(&object(
        "StoreClass",
        "fast",
        "{default: true, backend: {memory: {}}}",
    ));
    let (class, note) = bound(&fast, &mut kept, wanted, None).unwrap();
    assert_eq!(class, "embedded");
    assert!(note.unwrap().contains("`fast`"));
    let chosen = asked(Some("embedded"), None);
    let quiet = bound(&fast, &mut kept, wanted, Some(&chosen)).unwrap();
    assert_eq!(
        quiet,
        ("embedded".to_owned(), None),
        "the App says so itself"
    );
    let moved = bound(&fast, &mut kept, wanted, Some(&asked(Some("fast"), None)));
    let why = moved.unwrap_err();
    assert!(
        why.contains("`embedded`") && why.contains("`fast`"),
        "{why}"
    );

    let new = label("default", "new", "default");
    assert_eq!(bound(&fast, &mut kept, new, None).unwrap().0, "fast");
    let why = bound(&nothing, &mut kept, new, None).unwrap_err();
    assert!(why.contains("`fast`") && why.contains("--state"), "{why}");
    let selective = "{backend: {memory: {}}, namespaceSelector: {matchLabels: {team: a}}}";
    let selective = declared(&object("StoreClass", "fast", selective));
    let still = bound(&selective, &mut kept, new, None).unwrap();
    assert_eq!(still.0, "fast", "who is bound is not asked again");
}

#[test]
fn a_store_of_the_manifest_keeps_its_class() {
    let mut kept = Bindings::default();
    let wanted = label("default", "cart", "default");
    let store = |class: &str| {
        declared(&format!(
            "{}{}",
            object("StoreClass", "fast", "{backend: {memory: {}}}"),
            object(
                "Store",
                "mine",
                &format!("{{app: cart, label: default, className: {class}}}")
            )
        ))
    };
    assert_eq!(
        bound(&store("fast"), &mut kept, wanted, None).unwrap(),
        ("fast".to_owned(), None)
    );
    let why = bound(&store("embedded"), &mut kept, wanted, None).unwrap_err();
    assert!(why.contains("`mine`") && why.contains("`fast`"), "{why}");

    let mut kept = Bindings::default();
    bound(&Declared::default(), &mut kept, wanted, None).unwrap();
    let (class, note) = bound(&store("fast"), &mut kept, wanted, None).unwrap();
    assert_eq!(
        class, "embedded",
        "a Store that comes later takes nothing over"
    );
    assert!(note.unwrap().contains("`mine`"));
    let named = asked(None, Some("mine"));
    let moved = bound(&store("fast"), &mut kept, wanted, Some(&named)).unwrap();
    assert_eq!(moved, ("fast".to_owned(), None), "unless the App names it");
    let other = bound(&store("embedded"), &mut kept, wanted, Some(&named));
    assert!(other.unwrap_err().contains("cannot change"));
}
