//! A pass with nothing to change writes nothing; nor does a restart. By the API server's own log.

use shoal_e2e::{Namespace, Writes, image, kubectl, settled};

use crate::parts;

#[test]
fn nothing_to_change_writes_nothing_and_neither_does_a_restart() {
    let namespace = Namespace::new("quiet");
    let app = namespace.app("calm", &image("kv"));
    app.apply().ready();
    settled();

    // An annotation makes the operator look again; nothing that it wants follows from it.
    let writes = Writes::from_now();
    let touch = ["annotate", "apps.shoal.dev/calm", "example.com/touched=yes"];
    kubectl(&[&["-n", namespace.name()], &touch[..]].concat());
    kubectl(&[
        "-n",
        namespace.name(),
        "label",
        "service/calm",
        "example.com/touched=yes",
    ]);
    settled();
    let seen = writes.by_shoal();
    // The label of the Service is mirrored onto both slices; nothing else is written.
    assert!(
        seen.iter()
            .all(|write| write.starts_with("update endpointslices ")),
        "{seen:?}"
    );
    assert!(seen.len() <= 2, "{seen:?}");

    let writes = Writes::from_now();
    parts::replace_all("shoal-operator");
    app.ready();
    settled();
    assert_eq!(writes.by_shoal(), Vec::<String>::new());
}

#[test]
fn an_app_costs_at_most_seven_writes() {
    let namespace = Namespace::new("cost");
    // The first app may reserve a block of ports, which serves many.
    let first = namespace.app("first", &image("kv"));
    first.apply().ready();
    settled();
    let writes = Writes::from_now();
    let app = namespace.app("second", &image("kv"));
    app.apply().ready();
    settled();
    let seen = writes.by_shoal();
    println!("writes of an App with a Store, dual stack: {seen:#?}");
    assert!(seen.len() <= 7, "{seen:#?}");
}
