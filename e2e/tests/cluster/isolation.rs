//! A guest tries to reach a neighbour's data: by every name, through every interface, in every backend.

mod blobs;
mod databases;
mod keys;

use shoal_e2e::{Answer, App, get_all, json as object};

/// What the victim keeps, and what nobody else may ever see.
const TREASURE: &str = "of-the-victim";

/// The id under which the victim's Store of this name has its data.
fn id(victim: &App, store: &str) -> String {
    let store = object(&["-n", victim.namespace(), "stores.shoal.dev", store]);
    let id = store.expect("the victim's Store")["spec"]["id"].clone();
    id.as_str().expect("it is bound").to_owned()
}

/// Labels that might lead to the victim's Store of this name and id, percent-encoded.
fn labels(store: &str, id: &str) -> Vec<String> {
    let mut labels: Vec<String> = ["", "*", "victim", "victim%2Fdefault", "victim:default"]
        .map(str::to_owned)
        .into();
    for name in [store, id] {
        for around in [
            "",
            "..%2F",
            ".%2F",
            "%2F",
            "default%2F..%2F",
            "default%00",
            "%7B",
        ] {
            labels.push(format!("{around}{name}"));
        }
    }
    for name in [
        "../victim",
        "default%2F..%2Fvictim",
        "default%00victim",
        "%25",
        "_efault",
    ] {
        labels.push(name.to_owned());
    }
    labels.push(format!("{}-store", "l".repeat(300)));
    labels
}

/// Names that might lead to what the victim keeps as `secret` under this id, percent-encoded.
fn names(id: &str) -> Vec<String> {
    let mut names: Vec<String> = [
        "secret",
        "",
        "*",
        "%25",
        "_ecret",
        "secre%3F",
        "%5Bs%5Decret",
        "secret%00",
        "%00secret",
        "SECRET",
        "se%CC%81cret",
        "s%C3%A9cret",
        "%EF%BD%93ecret",
        "'%20OR%20'1'%3D'1",
        "%27%3B%20SELECT%20value%20FROM%20shoal_kv%20--",
        "%27%3B%20DELETE%20FROM%20shoal_kv%3B%20--",
        "victim-default%2Fsecret",
        "thief%2F..%2Fvictim%2Fsecret",
        "..%2F..%2Fsecret",
        "..%5C..%5Csecret",
        "%2e%2e%2fsecret",
        "%252e%252e%252fsecret",
        "%2Fsecret",
        ".",
        "..",
    ]
    .map(str::to_owned)
    .into();
    let between = [
        "", ":", "%2F", "%2F%2F", "%00", "%7D:", ".", "%20", "%0A", "%1F", "_", "+%2F",
    ];
    for between in between {
        names.push(format!("{id}{between}secret"));
    }
    for before in [
        "..%2F",
        "..%2F..%2F",
        "shoal%2F",
        "..%2F..%2Fshoal%2F",
        "%2F",
    ] {
        names.push(format!("{before}{id}%2Fsecret"));
    }
    names.push(id.to_owned());
    names.push(format!("shoal:%7B{id}%7D:values"));
    names.push("s".repeat(1000));
    names.push("s".repeat(5000));
    names
}

/// Asks an app for all these paths from a node, and proves that no answer holds what is the victim's.
fn ask(thief: &App, node: u8, paths: &[String]) -> Vec<Answer> {
    let urls: Vec<String> = paths.iter().map(|path| thief.url(path)).collect();
    let answers = get_all(node, &urls);
    for (path, answer) in paths.iter().zip(&answers) {
        let who = thief.name();
        assert_ne!(answer.status, 0, "{who} {path}: {answer:?}");
        assert!(!answer.body.contains(TREASURE), "{who} {path}: {answer:?}");
    }
    answers
}

/// As [`ask`], where nothing may succeed.
fn refused(thief: &App, node: u8, paths: &[String]) {
    for (path, answer) in paths.iter().zip(ask(thief, node, paths)) {
        assert_ne!(answer.status, 200, "{} {path}: {answer:?}", thief.name());
    }
}

/// A path for each of `names`: `{name}` and `{n}`, its number, in `pattern` are filled in.
fn each(names: &[String], pattern: &str) -> Vec<String> {
    let path = |(n, name): (usize, &String)| {
        let numbered = pattern.replace("{n}", &n.to_string());
        numbered.replace("{name}", name)
    };
    names.iter().enumerate().map(path).collect()
}

/// What was written under a name is there, and nothing that was written under another.
fn own_names_are_distinct(thief: &App, written: &[Answer], read: &[Answer]) {
    assert_eq!(written[0].status, 200, "{}: {:?}", thief.name(), written[0]);
    for (n, (written, read)) in written.iter().zip(read).enumerate() {
        if written.status == 200 {
            let mine = format!("mine-{n}");
            assert_eq!((read.status, read.body.trim()), (200, mine.as_str()));
        }
    }
}
