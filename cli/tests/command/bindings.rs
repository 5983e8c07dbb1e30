//! What `shoal up` keeps between runs: data of each interface, and where each label leads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::served::Served;
use crate::{guest, shoal, stderr};

/// A manifest in a folder of its own, with the state beside it.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(guests: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in guests {
            fs::copy(guest(name), folder.path().join(format!("{name}.wasm"))).unwrap();
        }
        Self { folder }
    }

    fn write(&self, objects: &[(&str, &str, &str)]) {
        let objects = objects.iter().map(|(kind, name, spec)| {
            format!(
                "---\napiVersion: shoal.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
            )
        });
        fs::write(self.manifest(), objects.collect::<String>()).unwrap();
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("app.yaml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = shoal();
        let command_line = command.arg("up").arg(self.manifest());
        command_line.args(["--listen", "127.0.0.1:0"]).args(more);
        command
    }

    fn up(&self, apps: usize, more: &[&str]) -> Served {
        let mut command = self.command(more);
        Served::start(command.stderr(File::create(self.log()).unwrap()), apps)
    }

    /// What the last run said on standard error.
    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    fn refused(&self) -> String {
        let output = self.command(&[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    }
}

fn line<'a>(said: &'a str, start: &str) -> &'a str {
    let mut lines = said.lines();
    let line = lines.find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("{start}: {said}"))
}

#[test]
fn rows_and_objects_are_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let up = |name: &str, state: &Path| {
        let mut command = shoal();
        let command_line = command.arg("up").arg(guest(name));
        command_line
            .args(["--listen", "127.0.0.1:0", "--state"])
            .arg(state);
        Served::start(&mut command, 1)
    };
    let sql = folder.path().join("sql");
    for count in ["1", "2"] {
        let served = up("sqlite", &sql);
        assert_eq!(served.get(0, "/count"), (200, count.to_owned()));
        assert!(served.interrupt().success());
    }
    let blobs = folder.path().join("blobs");
    let served = up("blobs", &blobs);
    let put = served.request(0, "POST", "/put/a", "a picture");
    assert_eq!(put, (200, "written".to_owned()));
    assert!(served.interrupt().success());
    let served = up("blobs", &blobs);
    assert_eq!(served.get(0, "/get/a"), (200, "a picture".to_owned()));
}

#[test]
fn where_each_label_went_is_said() {
    let project = Project::new(&["kv", "sqlite"]);
    let apps = [
        ("App", "cart", "{image: 'file:kv.wasm'}"),
        ("App", "books", "{image: 'file:sqlite.wasm'}"),
    ];
    project.write(&apps);
    let served = project.up(2, &["--store", "default=memory:"]);
    let said = project.said();
    assert_eq!(
        line(&said, "default/cart: label `default` (KeyValue)"),
        "default/cart: label `default` (KeyValue) is in --store default, backend memory; without --store it would \
         be in class `embedded`"
    );
    assert_eq!(
        line(&said, "default/books: label `default` (Sql)"),
        "default/books: label `default` (Sql) is in class `embedded`, backend embedded; --store default is for its \
         key-value store alone"
    );
    assert_eq!(served.get(1, "/count"), (200, "1".to_owned()));
    assert!(served.interrupt().success());
    let served = project.up(2, &["--store", "default=memory:"]);
    assert_eq!(served.get(1, "/count"), (200, "2".to_owned()), "it is kept");
}

#[test]
fn a_label_stays_where_it_is_when_another_class_becomes_the_default() {
    let project = Project::new(&["kv"]);
    let cart = ("App", "cart", "{image: 'file:kv.wasm'}");
    let fast = (
        "StoreClass",
        "fast",
        "{default: true, backend: {memory: {}}}",
    );
    let later = ("App", "later", "{image: 'file:kv.wasm'}");
    project.write(&[cart]);
    let served = project.up(1, &[]);
    assert_eq!(served.get(0, "/set/x/one").0, 200);
    assert!(served.interrupt().success());

    project.write(&[fast, cart, later]);
    let served = project.up(2, &[]);
    assert_eq!(served.get(0, "/get/x"), (200, "one".to_owned()));
    assert!(served.interrupt().success());
    let said = project.said();
    let bound = line(
        &said,
        "default/cart: label `default` (KeyValue) is in class `embedded`",
    );
    assert!(
        bound.contains("the default for new ones is class `fast`"),
        "{bound}"
    );
    line(
        &said,
        "default/later: label `default` (KeyValue) is in class `fast`, backend memory",
    );

    // The command line wins, and changes nothing.
    let served = project.up(2, &["--store", "default=memory:"]);
    assert_eq!(served.get(0, "/get/x").0, 404);
    assert!(served.interrupt().success());
    let said = project.said();
    let chosen = line(
        &said,
        "default/cart: label `default` (KeyValue) is in --store default",
    );
    assert!(
        chosen.contains("class `embedded`") && chosen.contains("stays there"),
        "{chosen}"
    );
    let served = project.up(2, &[]);
    assert_eq!(served.get(0, "/get/x"), (200, "one".to_owned()));
    assert!(served.interrupt().success());

    // What has data is not made to look lost.
    project.write(&[cart, later]);
    let refused = project.refused();
    assert!(
        refused.contains("app later") && refused.contains("StoreClass `fast`"),
        "{refused}"
    );
}

#[test]
fn a_start_that_fails_binds_nothing() {
    let project = Project::new(&["kv"]);
    let cart = ("App", "cart", "{image: 'file:kv.wasm'}");
    let away =
        "{default: true, backend: {redis: {urlFrom: {secretKeyRef: {name: none, key: url}}}}}";
    project.write(&[("StoreClass", "away", away), cart]);
    assert!(project.refused().contains("Secret none"));
    project.write(&[cart]);
    project.up(1, &[]);
    line(
        &project.said(),
        "default/cart: label `default` (KeyValue) is in class `embedded`",
    );
}

#[test]
fn a_class_that_is_not_for_the_namespace_is_refused_as_in_a_cluster() {
    let project = Project::new(&["kv"]);
    let team = "{backend: {memory: {}}, namespaceSelector: {matchLabels: {team: a}}}";
    let asks = "{image: 'file:kv.wasm', stores: [{label: default, class: team}]}";
    project.write(&[("StoreClass", "team", team), ("App", "cart", asks)]);
    let refused = project.refused();
    assert!(
        refused.contains("`team`") && refused.contains("namespaceSelector"),
        "{refused}"
    );
    let mine = "{app: cart, label: default, className: team}";
    project.write(&[
        ("StoreClass", "team", team),
        ("Store", "mine", mine),
        ("App", "cart", "{image: 'file:kv.wasm'}"),
    ]);
    let refused = project.refused();
    assert!(
        refused.contains("Store `mine`") && refused.contains("`team`"),
        "{refused}"
    );
}
