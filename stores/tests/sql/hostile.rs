//! Statements that want what is not theirs: files, neighbours, memory, or all of the time.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use shoal_stores::{SqlError, sql::Session};

use crate::{Databases, session, text};

#[tokio::test]
async fn nothing_outside_the_database_can_be_reached() {
    let databases = Databases::open();
    let neighbour = &mut session();
    databases
        .run(neighbour, "CREATE TABLE secret(a)")
        .await
        .unwrap();
    databases
        .run(neighbour, "INSERT INTO secret VALUES ('theirs')")
        .await
        .unwrap();
    let theirs = databases
        .folder
        .path()
        .join(format!("sql/{}.db", neighbour.store));
    assert!(theirs.exists());
    let (theirs, out) = (theirs.display(), databases.folder.path().join("out.db"));
    let out = out.display();

    let session = &mut session();
    databases
        .run(session, "CREATE TABLE mine(a)")
        .await
        .unwrap();
    let synchronous = databases.number(session, "PRAGMA synchronous").await;
    for statement in [
        format!("ATTACH '{theirs}' AS n"),
        format!("ATTACH 'file:{theirs}?mode=ro' AS n"),
        "ATTACH ':memory:' AS n".into(),
        "ATTACH '' AS n".into(),
        "ATTACH char(47) || 'tmp/x' AS n".into(),
        "DETACH main".into(),
        format!("VACUUM INTO '{out}'"),
        "VACUUM".into(),
        "SELECT load_extension('/lib/x86_64-linux-gnu/libm.so.6')".into(),
        format!("SELECT readfile('{theirs}')"),
        format!("SELECT writefile('{out}', 'x')"),
        "SELECT edit('x')".into(),
        "SELECT fts3_tokenizer('simple')".into(),
        "SELECT fts3_tokenizer('x', x'0000000000000000')".into(),
        format!("CREATE VIRTUAL TABLE v USING csv(filename='{theirs}')"),
        format!("CREATE VIRTUAL TABLE v USING zipfile('{theirs}')"),
        "CREATE VIRTUAL TABLE v USING fts3tokenize('simple')".into(),
        "CREATE VIRTUAL TABLE v USING dbstat(main)".into(),
        "CREATE VIRTUAL TABLE v USING rtree(a, b, c)".into(),
        "CREATE TEMP TABLE x(a)".into(),
        "CREATE TABLE temp.x(a)".into(),
        "CREATE TEMP VIEW x AS SELECT 1".into(),
        "PRAGMA writable_schema = ON".into(),
        "PRAGMA writable_schema(RESET)".into(),
        "PRAGMA trusted_schema = ON".into(),
        "PRAGMA journal_mode = OFF".into(),
        "PRAGMA journal_mode = DELETE".into(),
        "PRAGMA synchronous = OFF".into(),
        "PRAGMA main.synchronous(0)".into(),
        "PRAGMA max_page_count = 4294967294".into(),
        "PRAGMA page_size = 512".into(),
        "PRAGMA cache_size = -1000000".into(),
        "PRAGMA cache_spill = OFF".into(),
        "PRAGMA mmap_size = 1000000000".into(),
        "PRAGMA hard_heap_limit = 1".into(),
        "PRAGMA soft_heap_limit = 1".into(),
        "PRAGMA temp_store_directory = '/tmp'".into(),
        "PRAGMA temp_store = FILE".into(),
        "PRAGMA database_list".into(),
        "SELECT file FROM pragma_database_list".into(),
        "PRAGMA locking_mode = EXCLUSIVE".into(),
        "PRAGMA wal_checkpoint(TRUNCATE)".into(),
        "PRAGMA wal_autocheckpoint = 0".into(),
        "PRAGMA query_only = ON".into(),
        "PRAGMA threads = 8".into(),
        "PRAGMA data_store_directory = '/'".into(),
        "PRAGMA module_list".into(),
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x(a)')".into(),
        "UPDATE sqlite_schema SET rootpage = 1".into(),
        "DELETE FROM sqlite_master".into(),
        "SELECT * FROM secret".into(),
        format!("SELECT * FROM \"{theirs}\".secret"),
        "SELECT * FROM main.secret".into(),
    ] {
        let result = databases.run(session, &statement).await;
        let error = result.expect_err(&statement);
        assert!(
            matches!(error, SqlError::Statement(_)),
            "{statement}: {error:?}"
        );
        let said = error.to_string();
        let folder = databases.folder.path().display().to_string();
        assert!(
            !said.contains(&folder) || statement.contains(&folder),
            "{said}"
        );
    }
    let files = fs::read_dir(databases.folder.path()).unwrap().count();
    assert_eq!(files, 1, "a statement made a file");
    assert_eq!(
        databases
            .number(neighbour, "SELECT count(*) FROM secret")
            .await,
        1
    );
    assert_eq!(
        databases
            .number(session, "SELECT count(*) FROM sqlite_master")
            .await,
        1
    );
    assert_eq!(
        databases.number(session, "PRAGMA synchronous").await,
        synchronous
    );
}

#[tokio::test]
async fn names_are_names_of_the_own_database_whatever_is_in_them() {
    let databases = Databases::open();
    let (a, b) = (&mut session(), &mut session());
    let names = [
        "../../etc/passwd",
        "a\"b",
        "a'b",
        "; DROP TABLE x",
        "main.t",
        "é",
        "e\u{301}",
        "%_*?[",
        " ",
    ];
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        databases
            .run(a, &format!("CREATE TABLE {quoted}(v)"))
            .await
            .unwrap();
        databases
            .with(
                a,
                &format!("INSERT INTO {quoted} VALUES (?)"),
                &[text(name)],
            )
            .await
            .unwrap();
        let error = databases
            .run(b, &format!("SELECT v FROM {quoted}"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no such table"), "{error}");
    }
    let count = "SELECT count(*) FROM sqlite_master";
    assert_eq!(databases.number(a, count).await, names.len() as i64);
    assert_eq!(databases.number(b, count).await, 0);
}

/// Set for the process that runs the bombs: what it takes at its peak is that of no other test.
const BOMBS: &str = "SHOAL_TEST_SQL_BOMBS";

#[test]
fn bombs_end_by_a_limit_that_is_named() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::child_that_runs_bombs", "--nocapture"])
        .env(BOMBS, "")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("all ended"),
        "the child tested nothing: {text}"
    );
}

/// The child: each ends with an error of a limit, and the same session goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_runs_bombs() {
    if std::env::var(BOMBS).is_err() {
        return;
    }
    let databases = Databases::open();
    let session = &mut session();
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    let folded: Vec<String> = (0..300)
        .map(|i| format!("length(hex(zeroblob({})))", 400_000 + i))
        .collect();
    let columns: Vec<String> = (0..200)
        .map(|i| format!("randomblob({})", 1_000_000 + i))
        .collect();
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    let sum = format!("SELECT 1{}", " + 1".repeat(5000));
    let compound = vec!["SELECT 1"; 600].join(" UNION ");
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    for statement in [
        "SELECT zeroblob(1000000000)".to_owned(),
        "SELECT randomblob(1 << 30)".into(),
        "SELECT hex(randomblob(1 << 24))".into(),
        "SELECT printf('%.*c', 1000000000, 'x')".into(),
        format!("SELECT {}", columns.join(", ")),
        format!("SELECT {}", folded[..200].join(", ")),
        format!("SELECT {}", folded[..150].join(" + ")),
        format!("{many} SELECT group_concat(hex(randomblob(1000))) FROM n LIMIT 1"),
        format!("{many} SELECT json_group_array(i) FROM n"),
        format!("{many} SELECT count(DISTINCT randomblob(10000)) FROM n"),
        format!("{many} SELECT i, randomblob(10000) FROM n ORDER BY 2 LIMIT 1"),
        format!("INSERT INTO t {many} SELECT randomblob(100) FROM n ORDER BY 1"),
        deep,
        sum,
        compound,
        format!("SELECT 'x' LIKE '{}'", "%a".repeat(10_000)),
        format!("SELECT '{}'", "x".repeat(300_000)),
        format!(
            "CREATE TABLE wide({})",
            (0..3000)
                .map(|i| format!("c{i}"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        format!("SELECT json('{}')", "[".repeat(200_000)),
    ] {
        let start: String = statement.chars().take(60).collect();
        let error = databases.run(session, &statement).await.expect_err(&start);
        let named = matches!(error, SqlError::LimitExceeded(_) | SqlError::Statement(_));
        assert!(named, "{start}: {error:?}");
    }
    assert_eq!(databases.number(session, "SELECT count(*) FROM t").await, 0);
    let peak = peak_memory_kib();
    assert!(peak < 400 * 1024, "{peak} KiB were in use at once");
    println!("all ended");
}

/// Each would run for ever; neighbours are served meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_is_ended_and_neighbours_do_not_wait_for_it() {
    let databases = Databases::open();
    let session = &mut session();
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    databases.run(session, "CREATE TABLE log(a)").await.unwrap();
    let rows =
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)
                SELECT i FROM n";
    databases.run(session, rows).await.unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let endless = [
        format!("{many} SELECT count(*) FROM n"),
        "SELECT count(*) FROM t a, t b, t c, t d WHERE a.a + b.a = c.a * d.a".to_owned(),
        format!("INSERT INTO log {many} SELECT i FROM n WHERE i < 0"),
        "SELECT max(a.a || b.a || c.a || d.a) FROM t a JOIN t b JOIN t c JOIN t d".to_owned(),
    ];
    // Two at once of one Store, more than may be short at once of all.
    let store = session.store;
    let run = async |statement: &String| databases.run(&mut Session::new(store), statement).await;
    let running = AtomicBool::new(true);
    let ends = async {
        let ends = futures::future::join_all(endless.iter().map(run)).await;
        running.store(false, Ordering::Relaxed);
        ends
    };
    let neighbour = async {
        let neighbour = &mut crate::session();
        databases.run(neighbour, "CREATE TABLE t(a)").await.unwrap();
        let mut writes = 0;
        while running.load(Ordering::Relaxed) {
            databases
                .run(neighbour, "INSERT INTO t VALUES (1)")
                .await
                .unwrap();
            writes += 1;
        }
        writes
    };
    let (ends, writes) = futures::future::join(ends, neighbour).await;
    for end in ends {
        let error = end.unwrap_err();
        assert!(matches!(error, SqlError::LimitExceeded(_)), "{error:?}");
        assert!(error.to_string().contains("5 s"), "{error}");
    }
    // One that waited for an end each time would come to as many as there are.
    assert!(
        writes > 2 * endless.len(),
        "a neighbour wrote {writes} times"
    );
    assert_eq!(
        databases.number(session, "SELECT count(*) FROM log").await,
        0
    );
}

#[tokio::test]
async fn triggers_that_set_each_other_off_end() {
    let databases = Databases::open();
    let session = &mut session();
    for statement in [
        "CREATE TABLE t(a)",
        "PRAGMA recursive_triggers = ON",
        "CREATE TRIGGER again AFTER INSERT ON t BEGIN INSERT INTO t VALUES (new.a + 1); END",
    ] {
        databases.run(session, statement).await.unwrap();
    }
    let error = databases
        .run(session, "INSERT INTO t VALUES (1)")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too deep"), "{error}");
    assert_eq!(databases.number(session, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_trigger_or_view_does_nothing_that_its_owner_may_not() {
    let databases = Databases::open();
    let session = &mut session();
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    for statement in [
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT load_extension('x'); END",
        "CREATE VIEW v AS SELECT file FROM pragma_database_list",
        "CREATE VIEW v AS SELECT fts3_tokenizer('simple')",
        "CREATE TABLE g(a, b AS (load_extension(a)))",
        "CREATE INDEX i ON t(load_extension(a))",
    ] {
        // SQLite may take the definition, and refuse its use.
        if databases.run(session, statement).await.is_ok() {
            let uses = [
                "INSERT INTO t VALUES (1)",
                "SELECT * FROM v",
                "SELECT * FROM g",
            ];
            let mut refused = false;
            for used in uses {
                refused |= databases.run(session, used).await.is_err();
            }
            assert!(refused, "{statement}");
        }
    }
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
