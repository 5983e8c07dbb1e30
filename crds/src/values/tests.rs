use super::*;

/// Objects by kind and name; what is not here does not exist.
#[derive(Default)]
struct Objects(BTreeMap<(SourceKind, String), Option<Data>>);

type Data = BTreeMap<String, Vec<u8>>;

impl Sources for Objects {
    fn find(&self, kind: SourceKind, name: &str) -> Source<'_> {
        match self.0.get(&(kind, name.to_owned())) {
            Some(Some(data)) => Source::Found(data),
            Some(None) => Source::Unread,
            None if name == "broken" => Source::Unreadable("it is not your day"),
            None => Source::Missing,
        }
    }
}

fn objects() -> Objects {
    let data = |pairs: &[(&str, &[u8])]| {
        let pair = |(key, value): &(&str, &[u8])| ((*key).to_owned(), value.to_vec());
        Some(pairs.iter().map(pair).collect())
    };
    Objects(BTreeMap::from([
        (
            (SourceKind::Secret, "db".to_owned()),
            data(&[("password", b"pw"), ("user", b"me")]),
        ),
        (
            (SourceKind::ConfigMap, "db".to_owned()),
            data(&[("user", b"map")]),
        ),
        (
            (SourceKind::Secret, "binary".to_owned()),
            data(&[("key", b"\xff")]),
        ),
        ((SourceKind::Secret, "later".to_owned()), None),
    ]))
}

fn spec(yaml: &str) -> AppSpec {
    crate::yaml::from_str(yaml).unwrap()
}

fn map(pairs: &[(&str, &str)]) -> Values {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

fn env(yaml: &str) -> Result<Values, Lack> {
    environment(
        &spec(yaml),
        "c",
        &map(&[("IMAGE", "1"), ("user", "image")]),
        &objects(),
    )
}

#[test]
fn env_is_over_env_from_which_is_over_the_images() {
    for (yaml, expected) in [
        ("{image: a}", map(&[("IMAGE", "1"), ("user", "image")])),
        ("{image: a, env: []}", map(&[])),
        ("{image: a, env: [{name: A}]}", map(&[("A", "")])),
        (
            "{image: a, envFrom: [{secretRef: {name: db}}]}",
            map(&[("IMAGE", "1"), ("password", "pw"), ("user", "me")]),
        ),
        (
            "{image: a, envFrom: [{secretRef: {name: db}}, {configMapRef: {name: db}}], env: [{name: password, value: x}]}",
            map(&[("password", "x"), ("user", "map")]),
        ),
        (
            "{image: a, env: [], envFrom: [{prefix: DB_, configMapRef: {name: db}}, {secretRef: {name: no, optional: true}}]}",
            map(&[("DB_user", "map")]),
        ),
        (
            "{image: a, env: [{name: P, valueFrom: {secretKeyRef: {name: db, key: password}}}, \
              {name: N, valueFrom: {secretKeyRef: {name: db, key: no, optional: true}}}]}",
            map(&[("P", "pw")]),
        ),
    ] {
        assert_eq!(env(yaml).unwrap(), expected, "{yaml}");
    }
}

#[test]
fn a_component_has_its_own_instead_of_the_apps() {
    let spec = spec(
        "{components: [{name: c, image: a, routes: [/a], env: [{name: A, value: own}], variables: []}, \
          {name: d, image: a, routes: [/b]}], env: [{name: A, value: all}, {name: B, value: all}], \
          variables: [{name: v, value: all}]}",
    );
    let none = Values::new();
    let objects = objects();
    assert_eq!(
        environment(&spec, "c", &none, &objects).unwrap(),
        map(&[("A", "own")])
    );
    assert_eq!(
        environment(&spec, "d", &none, &objects).unwrap(),
        map(&[("A", "all"), ("B", "all")])
    );
    assert_eq!(variables(&spec, "c", &objects).unwrap(), map(&[]));
    assert_eq!(
        variables(&spec, "d", &objects).unwrap(),
        map(&[("v", "all")])
    );
}

#[test]
fn what_is_lacking_is_named() {
    let from = |source: &str| {
        let yaml = format!("{{image: a, variables: [{{name: v, valueFrom: {{{source}}}}}]}}");
        variables(&spec(&yaml), "c", &objects())
    };
    assert_eq!(
        from("secretKeyRef: {name: db, key: user}").unwrap(),
        map(&[("v", "me")])
    );
    for (source, expected) in [
        (
            "secretKeyRef: {name: no, key: k}",
            Lack::NotFound("component `c`: `v` needs Secret `no`, which does not exist in this namespace: create it, or say `optional: true`".into()),
        ),
        (
            "configMapKeyRef: {name: db, key: password}",
            Lack::NotFound("component `c`: `v` needs key `password` of ConfigMap `db`, which has no such key: add it, or say `optional: true`".into()),
        ),
        (
            "secretKeyRef: {name: binary, key: key}",
            Lack::Invalid("component `c`: `v` needs key `key` of Secret `binary`, which is no text in UTF-8".into()),
        ),
        (
            "secretKeyRef: {name: broken, key: key, optional: true}",
            Lack::Unreadable("component `c`: `v` needs Secret `broken`, which cannot be read: it is not your day".into()),
        ),
        (
            "secretKeyRef: {name: later, key: key, optional: true}",
            Lack::Unread("Secret `later` is being read".into()),
        ),
        ("", Lack::Invalid("component `c`: `v` has a `valueFrom` that names nothing".into())),
    ] {
        assert_eq!(from(source), Err(expected));
    }
}

#[test]
fn every_object_that_is_named_is_found() {
    let spec = spec(
        "{components: [{name: c, image: a, routes: [/a], env: [{name: A, valueFrom: {secretKeyRef: {name: e, key: k}}}], \
          envFrom: [{configMapRef: {name: f}}], variables: [{name: v, valueFrom: {configMapKeyRef: {name: g, key: k}}}]}], \
          variables: [{name: v, valueFrom: {secretKeyRef: {name: e, key: l}}}], envFrom: [{secretRef: {name: h}}]}",
    );
    let expected = [
        (SourceKind::Secret, "e"),
        (SourceKind::Secret, "h"),
        (SourceKind::ConfigMap, "f"),
        (SourceKind::ConfigMap, "g"),
    ];
    let expected = expected.map(|(kind, name)| (kind, name.to_owned()));
    assert_eq!(referred(&spec), BTreeSet::from(expected));
}
