//! How long a key-value operation takes that a guest does, beside bare clients of the same servers.
//!
//! `cargo xtask bench stores` runs it and makes a table of what it prints: one JSON object, times in
//! microseconds. `--store-program FILE` names the `shoal-store` to measure, `--folder FOLDER` where its
//! files (and those of all other servers) are, so that the disk is that of the machine.
//!
//! A guest takes the times, by its own clock, around each call of `wasi:keyvalue`; nothing is taken off
//! them. Each side of a comparison is measured in turn with the other, several times.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on fails"
)]

mod bare;
mod disk;
mod guest;
#[path = "../../../protocol/tests/parts/mod.rs"]
mod parts;
mod rounds;
mod served;
#[path = "../../../stores/tests/store_process/mod.rs"]
mod store_process;
#[path = "../../tests/node/support/mod.rs"]
#[allow(dead_code, reason = "the tests of a node use more of it")]
mod support;

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use shoal_runtime::stores::{ClassBackend, ClassDescription};
use shoal_stores::{
    Backend, Embedded, Postgres, Redis, RedisOptions,
    embedded::{Durability, EmbeddedOptions},
    postgres::{PostgresOptions, Secret},
};

use self::{
    bare::{Bare, BarePostgres, BareRedis, BareSqlite, WithoutGuest},
    guest::Guests,
    rounds::Rounds,
    served::Served,
    support::{postgres_server, redis_server::RedisServer},
};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    // On a worker, as clients are: the thread that blocks here is woken by the others alone.
    let figures = runtime.block_on(async { tokio::spawn(measure()).await.unwrap() });
    println!("{figures}");
}

async fn measure() -> Value {
    let folder = argument("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let program = argument("--store-program").expect("--store-program FILE");
    let in_process = Arc::new(
        Embedded::open(
            &folder.path().join("in-process"),
            EmbeddedOptions {
                durability: Durability::Relaxed,
                ..EmbeddedOptions::default()
            },
        )
        .unwrap(),
    );
    let served = Served::start(program.as_ref(), &folder.path().join("served")).await;
    let redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "everysec"])
        .await
        .expect("redis-server is installed");
    let postgres = postgres_server::Server::start_with(&["fsync=on"])
        .await
        .unwrap();
    let redis_options = RedisOptions {
        url: redis.url(),
        ..RedisOptions::default()
    };
    let postgres_options = PostgresOptions::new(Secret::new(postgres.url()));
    let without_guest: [Arc<dyn Backend>; 4] = [
        in_process.clone(),
        served.runtime(),
        Arc::new(Redis::new(&redis_options).unwrap()),
        Arc::new(Postgres::new(&postgres_options).unwrap()),
    ];
    let without_guest = without_guest.map(WithoutGuest::new);
    let guests = Guests::start(vec![
        ClassDescription::new("in-process", ClassBackend::Own(in_process)),
        ClassDescription::new("served", ClassBackend::Own(served.runtime())),
        ClassDescription::new("redis", ClassBackend::Redis(redis_options)),
        ClassDescription::new("postgres", ClassBackend::Postgres(postgres_options)),
    ])
    .await;
    let without = without_guest.iter().map(WithoutGuest::store);
    for store in guests.stores().chain(without) {
        served.grant(store);
    }
    let relaxed = BareSqlite::open(&folder.path().join("relaxed.db"), "NORMAL");
    let synced = BareSqlite::open(&folder.path().join("synced.db"), "FULL");
    let bare_redis = BareRedis::connect(&redis.url()).await;
    let bare_postgres = BarePostgres::connect(&postgres.url()).await;
    let sides: [(&str, Box<dyn Bare>, Rounds); 4] = [
        ("in-process", Box::new(relaxed), Rounds::of(5000, 2000)),
        ("served", Box::new(synced), Rounds::of(2000, 300)),
        ("redis", Box::new(bare_redis), Rounds::of(2000, 2000)),
        ("postgres", Box::new(bare_postgres), Rounds::of(2000, 500)),
    ];
    let mut figures = serde_json::Map::new();
    for ((class, bare, rounds), without_guest) in sides.into_iter().zip(&without_guest) {
        eprintln!("measuring {class}");
        let figure = rounds.measure(&guests, class, without_guest, &*bare).await;
        figures.insert(class.to_owned(), figure);
    }
    eprintln!("measuring 64 writers");
    let syncs = disk::Syncs::in_folder(folder.path());
    figures.insert(
        "writers".to_owned(),
        rounds::writers(&guests, "served", &syncs).await,
    );
    json!(figures)
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}
