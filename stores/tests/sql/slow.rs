//! Statements that spend their time within functions, where SQLite does not look at the clock.

use shoal_stores::{SqlError, StoreLimits, sql::Value};

use crate::{Databases, session, text};

/// As large as a value may be by default.
const LARGE: usize = 1 << 20;
/// As large as a value may be in any class.
const LARGEST: usize = 4 << 20;

/// Text that looks like `sought` everywhere and is it nowhere.
fn needle_and_haystack() -> [Value; 2] {
    let needle = "a".repeat(LARGE / 2) + "b";
    [text(&"a".repeat(LARGE - 10)), text(&needle)]
}

/// SQLite's own need minutes for each.
#[tokio::test]
async fn searching_takes_as_long_as_its_texts_are_together() {
    let databases = Databases::open();
    let session = &mut session();
    let most = 64 << 10;
    let set: String = (0x4E00..)
        .filter_map(char::from_u32)
        .take(most / 3 - 1)
        .collect();
    let last = set.chars().next_back().unwrap().to_string();
    let [haystack, needle] = needle_and_haystack();
    for (ask, arguments, number) in [
        ("instr(?1, ?2)", [&haystack, &needle], 0),
        (
            "length(replace(?1, ?2, 'x'))",
            [&haystack, &needle],
            LARGE - 10,
        ),
        (
            "length(trim(?1, ?2))",
            [&text(&last.repeat(LARGE / 3)), &text(&set)],
            0,
        ),
        (
            "length(ltrim(?1 || 'x', ?2))",
            [&text(&last.repeat(LARGE / 3)), &text(&set)],
            1,
        ),
        (
            "length(rtrim('x' || ?1, ?2))",
            [&text(&last.repeat(LARGE / 3)), &text(&set)],
            1,
        ),
        (
            "length(unhex(?1, ?2))",
            [&text(&(last.repeat(LARGE / 3 - 2) + "FF")), &text(&set)],
            1,
        ),
    ] {
        let arguments = arguments.map(Value::clone);
        let answer = databases
            .with(session, &format!("SELECT {ask}"), &arguments)
            .await;
        let answer = answer.unwrap_or_else(|error| panic!("{ask}: {error}"));
        assert_eq!(answer.rows[0][0], Value::Integer(number as i64), "{ask}");
    }
}

/// Each caller hears of the limit, and its statement has ended then or soon after.
async fn all_end(statements: &[(String, Vec<Value>)]) {
    let databases = &Databases::open();
    let limits = StoreLimits {
        value_bytes: LARGEST as u64,
        ..StoreLimits::default()
    };
    let end = |(statement, parameters): &(String, Vec<Value>)| {
        let (statement, parameters) = (statement.clone(), parameters.clone());
        async move {
            let session = &mut session();
            let run = databases.limited(session, &statement, &parameters, limits);
            let start: String = statement.chars().take(80).collect();
            let error = run.await.expect_err(&start);
            assert!(
                matches!(&error, SqlError::LimitExceeded(why) if why.contains("5 s")),
                "{start}: {error:?}"
            );
            // It waits for what runs, but not for ever.
            let removed = databases.sql.remove(session.store).await;
            removed.unwrap_or_else(|error| panic!("{start}: {error}"));
        }
    };
    futures::future::join_all(statements.iter().map(end)).await;
}

const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_function_on_each_row_ends() {
    let count = |what: &str| format!("{MANY} SELECT count({what}) FROM n");
    let long = text(&"a".repeat(LARGE - 100));
    let pattern = |any: &str| text(&(any.to_owned() + &"a".repeat(50) + "b"));
    let json = text(&format!("[{}1]", "[1],".repeat(200_000)));
    all_end(&[
        (count("?1 LIKE ?2 || i"), vec![long.clone(), pattern("%")]),
        (count("?1 GLOB ?2 || i"), vec![long, pattern("*")]),
        (count("json(?1 || substr(i, 1, 0))"), vec![json]),
        (count("randomblob(4000000 + i % 2)"), vec![]),
        (count("printf('%.*c', 4000000 + i % 2, 'x')"), vec![]),
    ])
    .await;
}

/// Calls of a function without a row between them, which may name the number `i`: what names nothing is done
/// before the first, and kept.
fn in_a_row(call: impl Fn(usize) -> String, count: usize) -> String {
    let calls: Vec<String> = (0..count).map(call).collect();
    let some: Vec<String> = calls
        .chunks(90)
        .map(|calls| format!("max({}, 0)", calls.join(", ")))
        .collect();
    let some = some.join(", ");
    format!("WITH one(i) AS MATERIALIZED (SELECT 1) SELECT max({some}, 0) FROM one")
}

/// Without an end they take several times as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_functions_in_one_row_end() {
    let long = text(&"a".repeat(LARGEST / 2 - 100));
    let shorter = text(&"a".repeat(LARGEST / 4 - 100));
    let calls = |call: &str| {
        let call = |index: usize| format!("typeof({})", call.replace("{}", &index.to_string()));
        in_a_row(call, 7000)
    };
    all_end(&[
        (calls("upper(?1 || (i + {}))"), vec![long]),
        (calls("hex(?1 || (i + {}))"), vec![shorter]),
    ])
    .await;
}

#[tokio::test]
async fn functions_that_cannot_be_ended_may_be_named_so_often_only() {
    let databases = Databases::open();
    let session = &mut session();
    for (call, most) in [
        ("'x' LIKE '{}'", 50),
        ("'x' GLOB '{}'", 50),
        ("length('{}')", 1000),
        ("substr('{}', 1)", 1000),
    ] {
        let calls = |count| in_a_row(|index| call.replace("{}", &index.to_string()), count);
        databases.run(session, &calls(most)).await.unwrap();
        let error = databases.run(session, &calls(most + 1)).await.unwrap_err();
        assert!(error.to_string().contains(&most.to_string()), "{error}");
    }
}
