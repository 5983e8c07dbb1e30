//! Asks every target of the JSON list on its first input line, without pause and each time on a
//! fresh connection, until its input ends; then prints what came back since each answered for the
//! first time.

use std::{
    io::{self, BufRead as _, Read as _},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use shoal_e2e::{Report, Target, ask};

/// Keeps a target from taking all of a small machine's time: the point is "without pause", not load.
const BREATH: Duration = Duration::from_millis(2);
/// How long a target may take to answer for the first time: each node's kube-proxy learns of a new
/// Service in its own time, and refuses its connections until then.
const FIRST_ANSWER: Duration = Duration::from_secs(30);
/// No test needs more; a client whose parent died without closing its input ends by itself.
const MOST_REQUESTS: u64 = 200_000;

fn main() -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let targets: Vec<Target> = serde_json::from_str(&line)?;
    let (ended, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let reports: Vec<Report> = thread::scope(|scope| {
        let asking: Vec<_> = targets
            .iter()
            .map(|target| scope.spawn(|| ask_until(target, &ended, &answered)))
            .collect();
        while answered.load(Ordering::Relaxed) < targets.len() {
            thread::sleep(BREATH);
        }
        println!("started");
        let _rest = io::stdin().lock().read_to_end(&mut Vec::new());
        ended.store(true, Ordering::Relaxed);
        asking
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    println!("{}", serde_json::to_string(&reports)?);
    Ok(())
}

fn ask_until(target: &Target, ended: &AtomicBool, answered: &AtomicUsize) -> Report {
    let mut report = Report {
        requests: 0,
        failures: Vec::new(),
        failed: 0,
        bodies: Vec::new(),
    };
    let begun = Instant::now();
    while ask(target).is_err() && begun.elapsed() < FIRST_ANSWER {
        thread::sleep(BREATH);
    }
    answered.fetch_add(1, Ordering::Relaxed);
    while !ended.load(Ordering::Relaxed) && report.requests < MOST_REQUESTS {
        let outcome = ask(target);
        report.requests += 1;
        match outcome {
            Ok(body) if report.bodies.last() != Some(&body) => report.bodies.push(body),
            Ok(_) => {}
            Err(failure) => {
                report.failed += 1;
                if report.failures.len() < 20 {
                    report
                        .failures
                        .push(format!("request {}: {failure:#}", report.requests));
                }
            }
        }
        thread::sleep(BREATH);
    }
    report
}
