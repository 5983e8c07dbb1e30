//! Where the data of a class is: recorded once, for ever.

use super::{
    classes::used,
    world::{World, postgres},
};
use crate::ClassHealth;

const HERE: &str = "00000000000000aa";
const ELSEWHERE: &str = "00000000000000bb";

/// The class does well, its data in a place.
fn well(place: &str) -> Vec<ClassHealth> {
    vec![ClassHealth {
        class: "pg".to_owned(),
        reachable: true,
        reason: String::new(),
        message: String::new(),
        place: (!place.is_empty()).then(|| place.to_owned()),
    }]
}

fn place(world: &World) -> Option<String> {
    world.class_status("pg").place
}

/// Somebody writes this into the status.
fn record(world: &mut World, place: Option<&str>) {
    let mut class = world.api.classes["pg"].clone();
    class.status.get_or_insert_default().place = place.map(str::to_owned);
    let class = world.api.put_class(class, world.now);
    world.index.apply(class);
}

#[test]
fn the_first_place_that_is_heard_of_is_recorded_once_and_stays() {
    let mut world = used(2);
    world.classes_said("node1", well(HERE));
    world.settle();
    assert_eq!(place(&world).as_deref(), Some(HERE));
    assert_eq!(world.kinds_written(), [("StoreClass", 1)].into());
    // One that was cut off found another server, and those that were told say nothing more.
    world.classes_said("node2", well(ELSEWHERE));
    world.classes_said("node1", well(""));
    world.advance(60);
    world.kill("node1");
    world.advance(60);
    assert_eq!(place(&world).as_deref(), Some(HERE));
    let written = world.written();
    let of_class =
        |write: &&crate::WriteAction| matches!(write, crate::WriteAction::PatchClassStatus { .. });
    assert_eq!(written.iter().filter(of_class).count(), 0, "{written:?}");
}

#[test]
fn of_two_that_are_heard_of_before_either_is_written_the_first_counts() {
    let mut world = used(2);
    world.classes_said("node2", well(ELSEWHERE));
    world.now += jiff::SignedDuration::from_millis(1);
    world.classes_said("node1", well(HERE));
    world.classes_said("node2", well(ELSEWHERE));
    world.settle();
    assert_eq!(place(&world).as_deref(), Some(ELSEWHERE));
}

#[test]
fn a_restart_writes_nothing_whoever_speaks_of_which_place() {
    let mut world = used(2);
    world.classes_said("node1", well(HERE));
    world.settle();
    world.classes_said("node2", well(ELSEWHERE));
    world.written();
    world.restart_unheard();
    world.index.credentials_read("pg", Ok(()));
    for node in ["node2", "node1"] {
        world.hear(node);
        world.advance(5);
    }
    world.advance(90);
    assert_eq!(world.written(), []);
    assert_eq!(place(&world).as_deref(), Some(HERE));
}

#[test]
fn a_record_outlives_every_trouble_of_the_class() {
    let mut world = used(1);
    world.classes_said("node1", well(HERE));
    world.settle();
    world.health("node1", &[("pg", false)]);
    world.advance(30);
    assert_eq!(world.class_says("pg", "Ready"), "False/CredentialsRefused");
    assert_eq!(place(&world).as_deref(), Some(HERE));
    let other = postgres("default: true, limits: {keys: 7}");
    world.class("pg", other);
    world.index.credentials_read("pg", Ok(()));
    world.advance(30);
    assert_eq!(place(&world).as_deref(), Some(HERE));
}

#[test]
fn a_record_that_was_cleared_is_made_anew_of_what_is_found_then() {
    let mut world = used(1);
    world.classes_said("node1", well(HERE));
    world.settle();
    world.classes_said("node1", well(""));
    world.settle();
    record(&mut world, None);
    world.advance(30);
    assert_eq!(
        place(&world),
        None,
        "who was told of one says nothing of it"
    );
    world.classes_said("node1", well(ELSEWHERE));
    world.settle();
    assert_eq!(place(&world).as_deref(), Some(ELSEWHERE));
}

#[test]
fn a_record_that_somebody_wrote_counts() {
    let mut world = used(1);
    world.classes_said("node1", well(HERE));
    world.settle();
    record(&mut world, Some(ELSEWHERE));
    world.written();
    world.advance(60);
    assert_eq!(place(&world).as_deref(), Some(ELSEWHERE));
    assert_eq!(world.written(), []);
}

#[test]
fn the_store_pod_is_believed_and_a_runtime_that_does_not_use_the_class_is_not() {
    let mut world = used(1);
    world.class("idle", postgres(""));
    world.index.credentials_read("idle", Ok(()));
    let idle = |place: &str| {
        let mut said = well(place);
        said[0].class = "idle".to_owned();
        said
    };
    world.classes_said("node1", idle(ELSEWHERE));
    world.advance(30);
    assert_eq!(world.class_status("idle").place, None);
    let now = world.now;
    world.index.store_pod_health("store-0", idle(HERE), now);
    world.advance(30);
    assert_eq!(world.class_status("idle").place.as_deref(), Some(HERE));
}
