//! SQL databases.

use shoal_e2e::{App, Namespace, image, request};

use super::{TREASURE, each, id, labels, refused};

const STORE: &str = "victim-default-sql";
/// Every version of the interface has a guest that speaks it.
const GUESTS: [&str; 4] = ["sqlite", "sqlite-v1", "sqlite-v3-0", "sqlite-v3"];
/// Where the store pod keeps its files.
const FOLDER: &str = "/var/lib/shoal";

/// Runs statements, each of one line, on one connection; a line of the answer for each.
fn run(app: &App, node: u8, statements: &[String]) -> Vec<String> {
    let answer = request(
        node,
        &["--data-binary", &statements.join("\n"), &app.url("/run")],
    );
    assert_eq!(answer.status, 200, "{}: {answer:?}", app.name());
    let lines: Vec<String> = answer.body.split('\n').map(str::to_owned).collect();
    assert_eq!(lines.len(), statements.len(), "{}: {lines:?}", app.name());
    lines
}

/// Statements that a guest might reach the file of another database with; all have to fail.
fn statements(id: &str) -> Vec<String> {
    let mut statements: Vec<String> = [
        "SELECT v FROM secret",
        "SELECT v FROM main.secret",
        "SELECT v FROM temp.secret",
        "UPDATE secret SET v = 'mine'",
        "DROP TABLE secret",
        "PRAGMA database_list",
        "SELECT file FROM pragma_database_list",
        "PRAGMA writable_schema = 1",
        "PRAGMA temp_store_directory = '/var/lib/shoal'",
        "PRAGMA data_store_directory = '/var/lib/shoal'",
        "PRAGMA journal_mode = delete",
        "PRAGMA trusted_schema = 1",
        "SELECT fts3_tokenizer('simple')",
        "VACUUM",
    ]
    .map(str::to_owned)
    .into();
    for file in files(id) {
        for statement in [
            "ATTACH '{}' AS v",
            "ATTACH DATABASE '{}' AS main2",
            "DETACH '{}'",
            "VACUUM INTO '{}'",
            "VACUUM main INTO '{}'",
            "SELECT v FROM \"{}\".secret",
            "INSERT INTO \"{}\".secret VALUES ('mine')",
            "SELECT readfile('{}')",
            "SELECT writefile('{}', 'mine')",
            "SELECT edit('{}')",
            "SELECT load_extension('{}')",
            "SELECT name FROM fsdir('{}')",
            "CREATE VIRTUAL TABLE t USING csv(filename = '{}')",
            "CREATE VIRTUAL TABLE t USING dbstat('{}')",
            "CREATE TEMP TABLE t AS SELECT '{}'",
        ] {
            statements.push(statement.replace("{}", &file));
        }
    }
    statements
}

/// Forms of the path of the victim's file.
fn files(id: &str) -> Vec<String> {
    let name = format!("{id}.db");
    let mut files = vec![
        id.to_owned(),
        name.clone(),
        ":memory:".to_owned(),
        String::new(),
    ];
    for before in [
        "./",
        "../sql/",
        "sql/",
        "../../../../var/lib/shoal/sql/",
        "/var/lib/shoal/sql/",
        "/var/lib/shoal/./sql/../sql/",
        "//var/lib/shoal/sql/",
        "/proc/self/root/var/lib/shoal/sql/",
        "/proc/self/cwd/",
    ] {
        let path = format!("{before}{name}");
        files.push(format!("file:{path}?mode=ro"));
        files.push(format!("file:{path}?immutable=1&vfs=unix-none"));
        files.push(path);
    }
    files.push(format!("file:///var/lib/shoal/sql/{name}"));
    files.push(format!("file:%2Fvar%2Flib%2Fshoal%2Fsql%2F{name}"));
    files
}

fn is_whole(victim: &App) {
    let asked = ["SELECT v FROM secret", "SELECT count(*) FROM sqlite_schema"].map(str::to_owned);
    assert_eq!(
        run(victim, 1, &asked),
        [format!("{TREASURE};"), "1;".to_owned()]
    );
}

fn attack(thief: &App, victim: &App) {
    let id = id(victim, STORE);
    // Of its own it has a table, so that what fails fails for its own reason.
    run(thief, 2, &["CREATE TABLE IF NOT EXISTS own(v)".to_owned()]);
    let statements = statements(&id);
    for (statement, line) in statements.iter().zip(run(thief, 2, &statements)) {
        let what = format!("{} {statement}: {line}", thief.name());
        assert!(line.starts_with('!'), "{what}");
        assert!(!line.contains(TREASURE), "{what}");
        assert!(
            statement.contains(FOLDER) || !line.contains(FOLDER),
            "{what}"
        );
    }
    is_whole(victim);
    // Index and content of a full-text table may be of another table: of the same database alone.
    let content = ["{}.secret", "\"{}\".secret", "../sql/{}.db"].map(|of| {
        let of = of.replace("{}", &id);
        format!("CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(v, content='{of}', content_rowid='rowid')")
    });
    for create in content {
        let asked = [
            create,
            "SELECT v FROM f".to_owned(),
            "DROP TABLE IF EXISTS f".to_owned(),
        ];
        let lines = run(thief, 2, &asked);
        assert!(!lines.concat().contains(TREASURE), "{lines:?}");
    }
    let labels = labels(STORE, &id);
    for path in ["count", "values", "twice"] {
        refused(thief, 3, &each(&labels, &format!("/{path}?label={{name}}")));
    }
    is_whole(victim);
}

#[test]
fn no_statement_and_no_label_reaches_a_neighbours_database() {
    let namespace = Namespace::new("thief-sql");
    let victim = namespace.app("victim", &image("sqlite"));
    let thieves = GUESTS.map(|guest| {
        let thief = namespace.app(&format!("thief-{guest}"), &image(guest));
        thief.apply();
        thief
    });
    victim.apply().ready();
    assert_eq!(victim.get(1, "/connections/1").status, 200);
    let kept = format!("INSERT INTO secret VALUES ('{TREASURE}')");
    run(
        &victim,
        1,
        &["CREATE TABLE secret(v TEXT)".to_owned(), kept],
    );
    is_whole(&victim);
    for thief in thieves {
        assert_eq!(thief.ready().get(2, "/connections/1").status, 200);
        attack(&thief, &victim);
    }
}
