//! Writes keys through the guest `kv` until as many writes as the JSON order on its first input line
//! wants were acknowledged; says every hundred how many it is. On the next line it reads back each key
//! whose write was acknowledged, and says which are lost.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use shoal_e2e::{Comparison, Order, Target, ask};

/// Keys that are read back in one request.
const KEYS: usize = 50;
/// How long a key may be out of reach when it is read back.
const LONG: Duration = Duration::from_secs(180);
const BREATH: Duration = Duration::from_millis(50);
/// No test needs more; a client whose parent died ends by itself.
const MOST_WRITES: usize = 200_000;

#[derive(Default)]
struct Done {
    acknowledged: Vec<String>,
    failed: usize,
    failures: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let line = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let order: Order = serde_json::from_str(&line)?;
    let done = Mutex::new(Done::default());
    thread::scope(|scope| {
        for writer in 0..order.writers {
            let (order, done) = (&order, &done);
            scope.spawn(move || write(order, writer, done));
        }
    });
    println!("{}", order.writes);
    lines.next().transpose()?;
    let Done {
        acknowledged,
        failed,
        failures,
    } = done.into_inner().unwrap_or_else(|held| held.into_inner());
    let mut lost = Vec::new();
    for keys in acknowledged.chunks(KEYS) {
        lost.extend(lost_of(&order.target, keys)?);
    }
    let outcome = Comparison {
        acknowledged: acknowledged.len(),
        failed,
        lost,
        failures,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn at(target: &Target, path: String) -> Target {
    Target {
        path,
        ..target.clone()
    }
}

fn write(order: &Order, writer: usize, done: &Mutex<Done>) {
    for index in 0..MOST_WRITES {
        let key = format!("w{writer}-{index}");
        let written = ask(&at(&order.target, format!("/set/{key}/{key}")));
        let failed = written.is_err();
        let mut done = done.lock().unwrap_or_else(|held| held.into_inner());
        match written {
            Ok(_) => done.acknowledged.push(key),
            Err(failure) => {
                done.failed += 1;
                if done.failures.len() < 20 {
                    done.failures.push(format!("{key}: {failure:#}"));
                }
            }
        }
        let count = done.acknowledged.len();
        if !failed && count.is_multiple_of(100) {
            println!("{count}");
        }
        if count >= order.writes {
            return;
        }
        drop(done);
        if failed {
            thread::sleep(BREATH);
        }
    }
}

/// Those of `keys` that do not hold what was written.
fn lost_of(target: &Target, keys: &[String]) -> anyhow::Result<Vec<String>> {
    let target = at(target, format!("/get-many/{}", keys.join(",")));
    let begun = Instant::now();
    let found = loop {
        match ask(&target) {
            Ok(found) => break found,
            Err(failure) if begun.elapsed() > LONG => return Err(failure),
            Err(_) => thread::sleep(BREATH),
        }
    };
    let found: BTreeMap<_, _> = found
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let is_lost = |key: &&String| found.get(key.as_str()) != Some(&key.as_str());
    Ok(keys.iter().filter(is_lost).cloned().collect())
}
