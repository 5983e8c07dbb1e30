//! Every part between a client and its data is killed while clients write through the Service: what was
//! acknowledged is there afterwards.

use serde_json::json;
use shoal_e2e::{App, Counted, LONG, Namespace, Order, SYSTEM, Target, image, kubectl, until};

use crate::{classes, parts};

const WRITES: usize = 10_000;
const WRITERS: usize = 16;

/// SIGKILLs the process of a part's first pod, and waits until its kubelet has started it again.
fn kill(part: &str) {
    let count = parts::pods(part).len();
    let pod = parts::pods(part).swap_remove(0);
    let restarts = || {
        let path = "jsonpath={.status.containerStatuses[0].restartCount}";
        kubectl(&["-n", SYSTEM, "get", "pod", &pod.name, "-o", path])
    };
    let before = restarts();
    shoal_e2e::kill_process_of_pod(&pod.uid, part);
    until(&format!("{part} to start again"), LONG, || {
        match restarts() {
            now if now != before => Ok(()),
            now => Err(now),
        }
    });
    parts::wait_until_ready(part, count);
}

/// Writes through the App's Service, calls each of `kills` in the middle of it, and compares.
fn lose_nothing(app: &App, kills: &mut [&mut dyn FnMut()]) {
    let order = Order {
        target: Target::service(app, "/"),
        writers: WRITERS,
        writes: WRITES,
    };
    let mut writes = Counted::start(2, &order);
    let count = kills.len();
    for (index, kill) in kills.iter_mut().enumerate() {
        writes.wait_for((index + 1) * WRITES / (count + 1));
        kill();
    }
    let outcome = writes.compare();
    println!(
        "{} writes acknowledged, {} lost; {} failed: {:?}",
        outcome.acknowledged,
        outcome.lost.len(),
        outcome.failed,
        outcome.failures
    );
    assert!(outcome.acknowledged >= WRITES);
    assert_eq!(outcome.lost, Vec::<String>::new());
}

#[test]
fn killing_runtime_and_store_loses_no_acknowledged_write() {
    let namespace = Namespace::new("kills");
    let app = namespace
        .app("writer", &image("kv"))
        .with("replicas", json!(3));
    app.apply().ready();
    lose_nothing(
        &app,
        &mut [
            &mut || kill("shoal-store"),
            &mut || kill("shoal-runtime"),
            &mut || kill("shoal-store"),
        ],
    );
}

#[test]
fn killing_runtime_and_database_loses_no_acknowledged_write() {
    let namespace = Namespace::new("killsdb");
    let (mut server, class) = classes::postgres("killed");
    let class = class.default_of(&[&namespace]);
    class.apply();
    let app = namespace
        .app("writer", &image("kv"))
        .with("replicas", json!(3));
    app.apply().ready();
    let server = std::cell::RefCell::new(&mut server);
    let kill_database = || {
        let mut server = server.borrow_mut();
        server.kill();
        server.start_again();
    };
    lose_nothing(
        &app,
        &mut [
            &mut { kill_database },
            &mut || kill("shoal-runtime"),
            &mut { kill_database },
        ],
    );
}
