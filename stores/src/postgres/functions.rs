//! What the server does in one call: functions beside the tables, in PL/pgSQL.
//!
//! A session plans what is in a function once. Sent as statements, a write would be planned anew at each
//! call where a pooler stands in between, since no session can then be told to remember a statement; that
//! takes longer than doing it. A function is one statement as well: one round trip, and a transaction by
//! itself.
//!
//! What a function does never changes: another version of Shoal that does it in another way makes
//! functions of other names, so that both may serve at once. Functions that are no longer used go with
//! the next version of the tables.
//!
//! Each write that may change a count first locks its Store's counts (see [`super::slots`]), in the order in
//! which they are given, and then sees what was committed before: under `READ COMMITTED` each statement within a function does.
//! Under a stricter level, if the database has one as its default, a write that another one got ahead of
//! fails, and is made again.

mod body;

use tokio_postgres::types::Type;

use super::statements::{Query, Remembered};
use body::{add, compare, delete, grow, lock, measure, purge, put, replace, set, wait};

/// Part of the names; to be changed with anything below.
const VERSION: &str = "v3";

/// The functions of one prefix, by what they do.
pub(crate) struct Functions {
    /// For sessions that remember no statement; others ask for the value itself.
    pub(crate) get: Function,
    /// One pair, which is what most writes are.
    pub(crate) put: Function,
    pub(crate) set: Function,
    pub(crate) add: Function,
    pub(crate) swap: Function,
    pub(crate) delete: Function,
    pub(crate) purge: Function,
}

/// One function.
pub(crate) struct Function {
    name: String,
    /// The statement that calls it.
    pub(crate) call: Query,
    definition: String,
}

/// What a function is made of.
struct Source<'a> {
    name: &'a str,
    place: Option<Remembered>,
    /// After the Store.
    parameters: Vec<(&'static str, Type)>,
    returns: &'a str,
    declare: &'a str,
    body: String,
}

impl Functions {
    /// Of the tables `kv` and `usage`.
    pub(crate) fn new(prefix: &str, kv: &str, usage: &str) -> Self {
        let (wait, turn) = (wait(), lock(usage));
        let lock = format!("{wait}{turn}");
        let grow = grow(usage);
        let of = |source: Source<'_>| source.function(prefix);
        Self {
            get: of(Source {
                name: "get",
                place: None,
                parameters: vec![("name", Type::BYTEA)],
                // Others make this setting where they are given a patience: see `lock`.
                returns: "bytea STABLE SET enable_seqscan = off",
                declare: "",
                body: format!(
                    "RETURN (SELECT value FROM {kv} WHERE store = of_store AND key = name);"
                ),
            }),
            put: of(Source {
                name: "put",
                place: Some(Remembered::Put),
                parameters: growing([("name", Type::BYTEA), ("content", Type::BYTEA)]),
                returns: "bigint[]",
                declare: "old bigint;",
                body: format!(
                    "{wait}{}{turn}{}{}",
                    replace(kv),
                    measure(kv),
                    put(kv, &grow, "ARRAY[1]")
                ),
            }),
            set: of(Source {
                name: "set",
                place: Some(Remembered::Set),
                parameters: growing([
                    ("names", Type::BYTEA_ARRAY),
                    ("contents", Type::BYTEA_ARRAY),
                ]),
                returns: "bigint[]",
                declare: "old bigint;",
                body: format!("{lock}{}", set(kv, &grow)),
            }),
            add: of(Source {
                name: "add",
                place: Some(Remembered::Add),
                parameters: growing([("name", Type::BYTEA), ("delta", Type::INT8)]),
                returns: "bigint[]",
                declare: "held bytea; old bigint; content bytea; total numeric;",
                body: format!(
                    "{lock}{}{}",
                    add(kv),
                    put(kv, &grow, "ARRAY[1, total::bigint]")
                ),
            }),
            swap: of(Source {
                name: "swap",
                place: Some(Remembered::Swap),
                parameters: growing([
                    ("name", Type::BYTEA),
                    ("expected", Type::BYTEA),
                    ("content", Type::BYTEA),
                ]),
                returns: "bigint[]",
                declare: "held bytea; old bigint;",
                body: format!("{lock}{}{}", compare(kv), put(kv, &grow, "ARRAY[1]")),
            }),
            delete: of(Source {
                name: "delete",
                place: Some(Remembered::Delete),
                parameters: locking([("names", Type::BYTEA_ARRAY)]),
                returns: "void",
                declare: "name bytea; freed bigint;",
                body: format!("{lock}{}", delete(kv, usage)),
            }),
            purge: of(Source {
                name: "purge",
                place: Some(Remembered::Purge),
                parameters: locking([("after", Type::BYTEA)]),
                returns: "bytea",
                declare: "last bytea;",
                body: format!("{lock}{}", purge(kv, usage)),
            }),
        }
    }

    fn all(&self) -> [&Function; 7] {
        let Self {
            get,
            put,
            set,
            add,
            swap,
            delete,
            purge,
        } = self;
        [get, put, set, add, swap, delete, purge]
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.all().map(|function| function.name.as_str()).into()
    }

    /// What makes them, or leaves them as they are.
    pub(crate) fn definitions(&self) -> String {
        self.all()
            .map(|function| function.definition.as_str())
            .join("\n")
    }
}

/// Parameters of a function that takes locks, and then does something with `what`.
fn locking<const N: usize>(what: [(&'static str, Type); N]) -> Vec<(&'static str, Type)> {
    let mut all = vec![("slots", Type::INT2_ARRAY), ("patience", Type::TEXT)];
    all.extend(what);
    all
}

/// As [`locking`], of one that may make the Store grow.
fn growing<const N: usize>(what: [(&'static str, Type); N]) -> Vec<(&'static str, Type)> {
    let mut all = locking(what);
    all.extend([("most_keys", Type::INT8), ("most_bytes", Type::INT8)]);
    all
}

impl Source<'_> {
    fn function(self, prefix: &str) -> Function {
        let Self {
            name,
            place,
            mut parameters,
            returns,
            declare,
            body,
        } = self;
        parameters.insert(0, ("of_store", Type::UUID));
        let name = format!("{prefix}_{name}_{VERSION}");
        let given: Vec<String> = (1..=parameters.len())
            .map(|number| format!("${number}"))
            .collect();
        let declared: Vec<String> = parameters
            .iter()
            .map(|(parameter, of_type)| format!("{parameter} {}", of_type.name()))
            .collect();
        Function {
            call: Query {
                text: format!("SELECT {name}({})", given.join(", ")),
                types: parameters.into_iter().map(|(_, of_type)| of_type).collect(),
                place,
            },
            definition: format!(
                "CREATE OR REPLACE FUNCTION {name}({}) RETURNS {returns}
                 LANGUAGE plpgsql AS $function$
                 DECLARE
                     slot_held smallint;
                     held_keys bigint; held_bytes bigint;
                     more_keys bigint := 0; more_bytes bigint := 0;
                     {declare}
                 BEGIN
                     {body}
                 END
                 $function$;",
                declared.join(", ")
            ),
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_gives_every_parameter_and_prefixes_share_no_name() {
        let of = |prefix: &str| Functions::new(prefix, "kv", "usage");
        assert_eq!(of("a").get.call.text, "SELECT a_get_v3($1, $2)");
        assert!(of("a").swap.call.text.ends_with("$7, $8)"));
        assert_eq!(of("a").swap.call.types.len(), 8);
        let (one, other) = (of("a"), of("a_set"));
        assert!(one.names().iter().all(|name| !other.names().contains(name)));
    }
}
