//! Measuring in turn, and what comes of it.

use std::time::Instant;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    bare::{self, Bare},
    disk::Syncs,
    guest::{Guests, VALUE},
};

/// How often each side is measured.
const ROUNDS: usize = 7;
const WRITERS: usize = 64;
/// Writes of each of many writers.
const WRITES: usize = 200;

/// How many operations a side does in one round.
#[derive(Clone, Copy)]
pub struct Rounds {
    gets: usize,
    sets: usize,
}

impl Rounds {
    pub fn of(gets: usize, sets: usize) -> Self {
        Self { gets, sets }
    }

    /// The guest, the same backend without a guest, and the bare client in turn. Microseconds: the middle
    /// of the rounds' middles, and of their 99th percentiles.
    pub async fn measure(
        self,
        guests: &Guests,
        class: &str,
        without_guest: &dyn Bare,
        bare: &dyn Bare,
    ) -> Value {
        // What is read has to be there, and what is slow the first time is over.
        guests.times(class, "set", "guest", 1000).await;
        bare::times(without_guest, "set", 1000, VALUE).await;
        bare::times(bare, "set", 1000, VALUE).await;
        let mut figures = serde_json::Map::new();
        for (operation, count) in [("get", self.gets), ("set", self.sets)] {
            let (mut seen, mut late) = (Vec::new(), Vec::new());
            let (mut without, mut alone) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let times = guests.times(class, operation, "guest", count).await;
                seen.push(microseconds(&times["p50"]));
                late.push(microseconds(&times["p99"]));
                for (side, middles) in [(without_guest, &mut without), (bare, &mut alone)] {
                    let times = bare::times(side, operation, count, VALUE).await;
                    middles.push(middle(times) as f64 / 1000.0);
                }
            }
            figures.insert(
                operation.to_owned(),
                json!({
                    "guest": median(&mut seen),
                    "guest_p99": median(&mut late),
                    "without_guest": median(&mut without),
                    "bare": median(&mut alone),
                    "operations": count * ROUNDS,
                }),
            );
        }
        json!(figures)
    }
}

/// Many guests that write at once, and what the disk alone takes.
pub async fn writers(guests: &Guests, class: &str, syncs: &Syncs) -> Value {
    let (mut rates, mut synced) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        join_all((0..WRITERS).map(async |writer| {
            let prefix = format!("w{writer}-");
            guests.times(class, "set", &prefix, WRITES).await
        }))
        .await;
        rates.push((WRITERS * WRITES) as f64 / began.elapsed().as_secs_f64());
        synced.push(middle(syncs.times(200)) as f64 / 1000.0);
    }
    json!({
        "per_second": median(&mut rates),
        "writers": WRITERS,
        "sync": median(&mut synced),
    })
}

fn microseconds(nanoseconds: &Value) -> f64 {
    nanoseconds.as_f64().unwrap() / 1000.0
}

fn middle(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
