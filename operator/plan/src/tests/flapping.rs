//! A runtime that says by turns that its apps answer and that they do not.

use std::collections::BTreeMap;

use super::world::World;
use crate::{AppReport, ReportState};

impl World {
    /// The runtime of a node says of all its apps, in one message, whether they answer.
    fn say_of_all(&mut self, node: &str, answer: bool) {
        let runtime = self.runtime(node);
        let said = |report: &AppReport| match answer {
            true => report.clone(),
            false => AppReport {
                serving_revision: String::new(),
                state: ReportState::Failed,
                reason: "LinkFailed".to_owned(),
                ..report.clone()
            },
        };
        let reports: Vec<AppReport> = runtime.apps.values().map(said).collect();
        let uid = runtime.pod.uid.clone();
        self.index.runtime_report(&uid, false, reports, &[]);
        self.settle();
    }

    fn writes_by_kind(&mut self) -> BTreeMap<&'static str, usize> {
        self.advance(1);
        self.kinds_written()
    }
}

#[test]
fn a_runtime_whose_apps_come_and_go_has_no_more_writes_than_its_share() {
    let mut world = World::new(1);
    world.ready_app("one");
    world.ready_app("two");
    let mut slices = 0;
    for _ in 0..600 {
        for answer in [false, true] {
            world.say_of_all("node1", answer);
        }
        slices += world.writes_by_kind().get("EndpointSlice").unwrap_or(&0);
    }
    // Of each family of each app: two for each time that it comes and goes, which is once a minute in the end.
    let times = 4 + 4 + 600 / 60;
    assert!(slices <= 2 * 2 * 2 * times, "{slices} writes");
    for name in ["one", "two"] {
        world.say_of_all("node1", true);
        world.advance(60);
        assert_eq!(world.ready_nodes(name), ["node1".to_owned()].into());
    }
}

#[test]
fn an_app_that_stops_now_and_then_is_back_at_once() {
    let mut world = World::new(1);
    world.ready_app("one");
    for _ in 0..10 {
        world.say_of_all("node1", false);
        assert_eq!(world.ready_nodes("one"), [].into());
        world.say_of_all("node1", true);
        assert_eq!(world.ready_nodes("one"), ["node1".to_owned()].into());
        world.advance(120);
    }
}
