//! What the status of Stores says that they hold.

use jiff::SignedDuration;

use shoal_crds::Interface;

use super::world::{World, component, key};
use crate::{StoreUsage, WriteAction};

fn hear(world: &mut World, keys: u64, bytes: u64) {
    let stores = world.api.stores.values();
    let ids: Vec<String> = stores.filter_map(|store| store.spec.id.clone()).collect();
    let usage = StoreUsage { keys, bytes };
    world
        .index
        .store_usages(ids.into_iter().map(|id| (id, usage)));
}

/// Seconds pass, and the operator looks each second.
fn pass(world: &mut World, seconds: i64, most: usize) {
    for _ in 0..seconds {
        world.index.tell_usages(most, world.now);
        world.settle();
        world.now += SignedDuration::from_secs(1);
    }
}

fn said(world: &World, name: &str) -> (Option<i64>, Option<i64>) {
    let status = world.api.stores[&key(name)].status.as_ref().unwrap();
    (status.keys, status.bytes)
}

#[test]
fn a_status_says_what_the_store_holds_at_most_once_a_minute() {
    let mut world = World::new(1);
    world.ready_app("hello");
    assert_eq!(said(&world, "hello-default"), (Some(0), Some(0)));
    for n in 0..120 {
        hear(&mut world, n, 100 + n);
        pass(&mut world, 1, 10);
    }
    let writes = world.written();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(matches!(writes[0], WriteAction::PatchStoreStatus { .. }));
    pass(&mut world, 60, 10);
    assert_eq!(said(&world, "hello-default"), (Some(119), Some(219)));
    assert_eq!(world.written().len(), 1);
}

#[test]
fn that_a_status_was_written_is_not_forgotten_between_two_counts() {
    let mut world = World::new(1);
    world.ready_app("hello");
    for n in 0..12 {
        hear(&mut world, n, 100 + n);
        pass(&mut world, 10, 10);
    }
    let writes = world.written();
    assert_eq!(writes.len(), 2, "{writes:?}");
}

#[test]
fn stores_that_never_rest_leave_the_others_their_turn() {
    let mut world = World::new(1);
    let names: Vec<String> = (0..80).map(|n| format!("app{n}")).collect();
    names.iter().for_each(|name| world.ready_app(name));
    // In a minute there are turns for 60 of them.
    for n in 0..40 {
        hear(&mut world, n + 1, 100 + n);
        pass(&mut world, 4, 1);
    }
    for name in names {
        assert_ne!(
            said(&world, &format!("{name}-default")),
            (Some(0), Some(0)),
            "{name}"
        );
    }
}

#[test]
fn what_is_the_same_is_not_written_again_nor_after_a_restart() {
    let mut world = World::new(1);
    world.ready_app("hello");
    hear(&mut world, 3, 30);
    pass(&mut world, 1, 10);
    assert_eq!(world.written().len(), 1);
    hear(&mut world, 3, 30);
    pass(&mut world, 100, 10);
    world.restart();
    pass(&mut world, 10, 10);
    hear(&mut world, 3, 30);
    pass(&mut world, 100, 10);
    assert_eq!(world.written(), []);
    hear(&mut world, 4, 30);
    world.index.touch(&key("hello"));
    world.settle();
    assert_eq!(world.written(), [], "other plans write no counts");
}

#[test]
fn many_stores_are_told_of_one_after_the_other() {
    let mut world = World::new(1);
    for n in 0..10 {
        world.ready_app(&format!("app{n}"));
    }
    hear(&mut world, 1, 10);
    pass(&mut world, 1, 3);
    assert_eq!(world.written().len(), 3);
    pass(&mut world, 3, 3);
    assert_eq!(world.written().len(), 7);
}

#[test]
fn of_a_store_that_nobody_knows_nothing_is_kept() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let stranger = "00000000-0000-4000-8000-ffffffffffff".to_owned();
    let usage = StoreUsage::default();
    world.index.store_usages([(stranger.clone(), usage)]);
    world.index.store_purged(&stranger, None);
    pass(&mut world, 2, 10);
    assert_eq!(world.written(), []);
    assert_eq!(world.index.store_duty(&stranger), None);
}

#[test]
fn a_database_has_bytes_and_no_keys() {
    let mut world = World::new(1);
    let mut api = component("api", &[]);
    api.labels.push((Interface::Sql, "default".to_owned()));
    world.builder.image("hello:1", vec![api]);
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(said(&world, "hello-default-sql"), (None, Some(0)));
    world.written();
    hear(&mut world, 0, 4096);
    pass(&mut world, 100, 10);
    assert_eq!(said(&world, "hello-default-sql"), (None, Some(4096)));
    assert_eq!(world.written().len(), 1);
}
