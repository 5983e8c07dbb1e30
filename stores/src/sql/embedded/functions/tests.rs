//! The functions beside SQLite's own, on the same arguments.

use proptest::prelude::*;
use rusqlite::types::Value;

use super::*;
use crate::sql::embedded::memory;

/// SQLite's own, and ours.
fn both() -> (Sqlite, Sqlite) {
    memory::install();
    let (own, ours) = (
        Sqlite::open_in_memory().unwrap(),
        Sqlite::open_in_memory().unwrap(),
    );
    install(&ours, &Watch::default()).unwrap();
    (own, ours)
}

const CALLS: [&str; 13] = [
    "instr(?1, ?2)",
    "instr(CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
    "replace(?1, ?2, ?3)",
    "replace(CAST(?1 AS TEXT), CAST(?2 AS TEXT), ?3)",
    "trim(?1)",
    "trim(?1, ?2)",
    "ltrim(?1, ?2)",
    "rtrim(?1, ?2)",
    "trim(CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
    "rtrim(CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
    "unhex(?1)",
    "unhex(?1, ?2)",
    "unhex(CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
];

fn compare(own: &Sqlite, ours: &Sqlite, arguments: &[Value; 3]) {
    for call in CALLS {
        // As bytes: what is not UTF-8 is compared as well.
        let ask = format!(
            "SELECT typeof({call}), CAST({call} AS BLOB), ?1 IS NULL, ?2 IS NULL, ?3 IS NULL"
        );
        let result = |sqlite: &Sqlite| {
            sqlite
                .query_row(&ask, rusqlite::params_from_iter(arguments), |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
                })
                .unwrap()
        };
        assert_eq!(result(ours), result(own), "{call} of {arguments:?}");
    }
}

/// Few different bytes, so that one is often found in another; some are no UTF-8.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![
        b'a', b'a', b'b', b'0', b'F', b' ', 0, 0x80, 0xA9, 0xC3, 0xC3, 0xE2, 0x82, 0xF0, 0xFC,
        0xFE, 0xFF,
    ]);
    prop::collection::vec(byte, 0..12)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => (-50..50_i64).prop_map(Value::Integer),
        1 => any::<f64>().prop_map(Value::Real),
        4 => bytes().prop_map(Value::Blob),
        4 => "[aä b€0fF😀]{0,8}".prop_map(Value::Text),
        4 => "[0-9a-f ]{0,8}".prop_map(Value::Text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn they_give_what_sqlites_own_give(a in value(), b in value(), c in value()) {
        let (own, ours) = both();
        compare(&own, &ours, &[a, b, c]);
    }
}

#[test]
fn a_result_past_the_limit_is_refused_as_sqlite_does() {
    let (own, ours) = both();
    for sqlite in [own, ours] {
        sqlite
            .set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH, 1000)
            .unwrap();
        let ask = |by: usize| {
            let ask = "SELECT length(replace(?1, 'a', ?2))";
            let arguments = ("a".repeat(100), "x".repeat(by));
            sqlite.query_row(ask, arguments, |row| row.get::<_, i64>(0))
        };
        assert_eq!(ask(10).unwrap(), 1000);
        let code = ask(11).unwrap_err().sqlite_error_code();
        assert_eq!(code, Some(rusqlite::ErrorCode::TooBig));
    }
}

#[test]
fn a_set_of_characters_has_a_limit_that_is_named() {
    let (_, ours) = both();
    for call in ["trim('x', ?1)", "rtrim('x', ?1)", "unhex('00', ?1)"] {
        let ask = |bytes: usize| {
            let ask = format!("SELECT {call}");
            ours.query_row(&ask, [" ".repeat(bytes)], |_| Ok(()))
        };
        ask(64 << 10).unwrap();
        let error = ask((64 << 10) + 1).unwrap_err().to_string();
        assert!(error.contains("65536"), "{error}");
    }
}

#[test]
fn what_has_to_end_does_not_begin() {
    memory::install();
    let watch = Watch::default();
    let sqlite = Sqlite::open_in_memory().unwrap();
    install(&sqlite, &watch).unwrap();
    let ask = || {
        let long = "x".repeat(10_000);
        sqlite.query_row("SELECT instr(?1, 'y')", [long], |row| row.get::<_, i64>(0))
    };
    assert_eq!(ask().unwrap(), 0);
    watch.start(std::time::Instant::now(), Default::default());
    let code = ask().unwrap_err().sqlite_error_code();
    assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted));
}
