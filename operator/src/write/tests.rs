use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shoal_crds::AppStatus;
use shoal_plan::{AppKey, ObjectKey, Priority, Write, WriteAction};

use super::Writer;
use super::execute::{Answer, Executor, WriteError};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::world::World;

/// Writes down what is sent; refuses what is told to.
#[derive(Clone, Default)]
struct Recorder {
    sent: Arc<Mutex<Vec<String>>>,
    busy: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<Vec<String>>>,
    hold: Arc<tokio::sync::Mutex<()>>,
}

impl Executor for Recorder {
    async fn execute(&self, action: &WriteAction) -> Result<Answer, WriteError> {
        if let WriteAction::PatchAppStatus { key, .. } = action {
            self.sent.lock().push(format!("status of {}", key.name));
        }
        let WriteAction::DeleteSlice { key, .. } = action else {
            return Ok(Answer::Nothing);
        };
        let _held = self.hold.lock().await;
        if self.refused.lock().contains(&key.name.to_string()) {
            return Err(WriteError::Refused("not allowed".into()));
        }
        if self.busy.lock().contains(&key.name.to_string()) {
            return Err(WriteError::Busy("429".into()));
        }
        self.sent.lock().push(key.name.to_string());
        Ok(Answer::Nothing)
    }
}

fn write(priority: Priority, name: &str) -> Write {
    let key = ObjectKey::new("shop", name);
    Write {
        priority,
        action: WriteAction::DeleteSlice {
            key,
            uid: "u".into(),
        },
    }
}

fn app(name: &str) -> AppKey {
    AppKey::new("shop", name)
}

fn writer(recorder: &Recorder) -> Arc<Writer<Recorder>> {
    let world = Arc::new(World::new(jiff::Timestamp::UNIX_EPOCH));
    let metrics = Arc::new(Metrics::default());
    Writer::new(recorder.clone(), world, Leadership::eternal(1), metrics)
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..18_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to pass within three minutes");
}

fn start(writer: &Arc<Writer<Recorder>>) -> tokio::task::JoinHandle<()> {
    let writer = writer.clone();
    tokio::spawn(async move { writer.run(|| {}).await })
}

#[tokio::test]
async fn writes_of_an_app_go_in_order_and_stop_where_one_fails() {
    let recorder = Recorder::default();
    recorder.busy.lock().push("second".into());
    let writer = writer(&recorder);
    let names = ["first", "second", "third"];
    writer.submit(
        app("a"),
        names.map(|name| write(Priority::Add, name)).to_vec(),
    );
    let task = start(&writer);
    until(|| writer.is_idle()).await;
    assert_eq!(*recorder.sent.lock(), ["first"]);
    task.abort();
}

fn status(name: &str) -> Write {
    Write {
        priority: Priority::Cosmetic,
        action: WriteAction::PatchAppStatus {
            key: app(name),
            uid: "u".into(),
            status: Box::new(AppStatus::default()),
        },
    }
}

#[tokio::test]
async fn whatever_fails_the_status_is_written() {
    for busy in [true, false] {
        let recorder = Recorder::default();
        let failing = if busy {
            &recorder.busy
        } else {
            &recorder.refused
        };
        failing.lock().push("first".into());
        let writer = writer(&recorder);
        let writes = ["first", "second"].map(|name| write(Priority::Add, name));
        writer.submit(app("a"), [writes.to_vec(), vec![status("a")]].concat());
        let task = start(&writer);
        until(|| writer.is_idle()).await;
        assert_eq!(*recorder.sent.lock(), ["status of a"]);
        task.abort();
    }
}

#[tokio::test]
async fn removals_do_not_wait_for_writes_that_wait() {
    let recorder = Recorder::default();
    let writer = writer(&recorder);
    let held = recorder.hold.clone().lock_owned().await;
    for n in 0..super::AT_ONCE + 10 {
        writer.submit(
            app(&format!("slow-{n}")),
            vec![write(Priority::Add, "slow")],
        );
    }
    let task = start(&writer);
    until(|| writer.slots.available_permits() == 0).await;
    let urgent = write(Priority::Remove, "urgent");
    writer.submit(app("dead"), vec![urgent, write(Priority::Add, "more")]);
    until(|| !writer.may_plan(&app("dead"))).await;
    drop(held);
    until(|| writer.is_idle()).await;
    let sent = recorder.sent.lock().clone();
    assert!(sent.contains(&"urgent".to_owned()));
    assert!(!sent.contains(&"more".to_owned()), "it is planned again");
    let dirty = writer.world.with(shoal_plan::Index::take_dirty);
    assert!(dirty.contains(&app("dead")));
    task.abort();
}

#[tokio::test]
async fn a_newer_plan_replaces_the_one_that_waits() {
    let recorder = Recorder::default();
    let writer = writer(&recorder);
    writer.submit(app("a"), vec![write(Priority::Add, "old")]);
    writer.submit(app("a"), vec![write(Priority::Add, "new")]);
    let task = start(&writer);
    until(|| writer.is_idle()).await;
    assert_eq!(*recorder.sent.lock(), ["new"]);
    task.abort();
}

#[tokio::test]
async fn an_app_that_is_being_written_is_planned_only_when_that_is_done() {
    let recorder = Recorder::default();
    let held = recorder.hold.clone().lock_owned().await;
    let writer = writer(&recorder);
    writer.submit(app("a"), vec![write(Priority::Add, "one")]);
    let task = start(&writer);
    until(|| !writer.may_plan(&app("a"))).await;
    assert!(writer.may_plan(&app("b")));
    writer.submit(app("a"), vec![write(Priority::Add, "planned too early")]);
    drop(held);
    until(|| writer.may_plan(&app("a"))).await;
    let dirty = writer.world.with(shoal_plan::Index::take_dirty);
    assert_eq!(dirty, [app("a")]);
    assert_eq!(*recorder.sent.lock(), ["one"]);
    task.abort();
}

#[tokio::test]
async fn writes_that_failed_are_planned_again() {
    let recorder = Recorder::default();
    recorder.busy.lock().push("one".into());
    let writer = writer(&recorder);
    writer.submit(app("a"), vec![write(Priority::Add, "one")]);
    let task = start(&writer);
    until(|| !writer.world.with(shoal_plan::Index::take_dirty).is_empty()).await;
    task.abort();
}

#[test]
fn every_write_has_a_kind_and_an_op_for_the_metrics() {
    let status = WriteAction::PatchAppStatus {
        key: app("a"),
        uid: "u".into(),
        status: Box::new(AppStatus::default()),
    };
    assert_eq!((status.kind(), super::op(&status)), ("App", "patch"));
}
