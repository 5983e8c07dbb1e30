use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn holder(number: usize) -> Holder {
    Holder {
        created: at(i64::try_from(number).unwrap()),
        uid: format!("uid-{number}"),
        app: AppKey::new("shop", &format!("app-{number}")),
    }
}

fn confirm(allocator: &mut PortAllocator, now: Timestamp) -> BTreeSet<AppKey> {
    let record = allocator.unrecorded(now).unwrap();
    allocator.confirm(&record)
}

fn port(allocator: &mut PortAllocator, number: usize, now: Timestamp) -> u16 {
    if allocator.allocate(holder(number), now) == Allocation::Reserving {
        confirm(allocator, now);
    }
    match allocator.allocate(holder(number), now) {
        Allocation::Port(port) => port,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_is_used_only_after_its_block_is_recorded() {
    let mut allocator = PortAllocator::default();
    assert_eq!(allocator.allocate(holder(1), at(0)), Allocation::Reserving);
    assert_eq!(allocator.allocate(holder(1), at(0)), Allocation::Reserving);
    assert_eq!(
        confirm(&mut allocator, at(0)),
        BTreeSet::from([holder(1).app])
    );
    assert_eq!(
        allocator.allocate(holder(1), at(0)),
        Allocation::Port(10_000)
    );
    assert_eq!(
        allocator.unrecorded(at(0)),
        None,
        "one write for the whole block"
    );
}

#[test]
fn every_port_but_the_mesh_sidecars_is_handed_out_once_and_then_none() {
    let mut allocator = PortAllocator::default();
    let total = (10_000..32_768_usize).len() - (15_000..15_091_usize).len();
    let ports: BTreeSet<u16> = (0..total).map(|n| port(&mut allocator, n, at(0))).collect();
    assert_eq!(ports.len(), total);
    assert!(ports.iter().all(|port| is_app_port(*port)));
    assert_eq!(
        allocator.allocate(holder(total), at(0)),
        Allocation::Exhausted(None)
    );
    allocator.free("uid-7", at(5));
    assert_eq!(
        allocator.allocate(holder(total), at(6)),
        Allocation::Exhausted(Some(at(605)))
    );
    assert!(matches!(
        allocator.allocate(holder(total), at(605)),
        Allocation::Port(_)
    ));
}

#[test]
fn a_freed_port_rests_and_the_longest_free_is_used_first() {
    let mut allocator = PortAllocator::default();
    let first = port(&mut allocator, 1, at(0));
    allocator.free("uid-1", at(0));
    assert_ne!(
        port(&mut allocator, 2, at(10_000)),
        first,
        "others were free for longer"
    );
}

#[test]
fn after_a_takeover_unused_ports_of_recorded_blocks_rest_and_other_blocks_do_not() {
    let record = BTreeSet::from([78]);
    let mut allocator = PortAllocator::recorded(&record, at(0));
    assert_eq!(allocator.claim(10_003, holder(1), at(0)), None);
    assert_eq!(
        allocator.allocate(holder(1), at(0)),
        Allocation::Port(10_003)
    );
    assert_eq!(allocator.unrecorded(at(0)), None, "nothing to write");
    let fresh = port(&mut allocator, 2, at(1));
    assert_eq!(block_of(fresh), 79);
    assert_eq!(
        block_of(port(&mut allocator, 3, at(601))),
        79,
        "longer free than the first block"
    );
}

#[test]
fn of_two_claims_the_older_apps_counts_in_either_order() {
    for order in [[1, 2], [2, 1]] {
        let mut allocator = PortAllocator::default();
        let losers = order.map(|n| allocator.claim(10_003, holder(n), at(0)));
        assert_eq!(losers, [None, Some(holder(2).app)]);
        assert_eq!(allocator.of("uid-1"), Some(10_003));
        assert_eq!(allocator.of("uid-2"), None);
    }
}

#[test]
fn a_claim_outside_the_range_is_none() {
    for port in [0, 80, 9_999, 15_000, 15_090, 32_768, 65_535] {
        let mut allocator = PortAllocator::default();
        allocator.claim(port, holder(1), at(0));
        assert_eq!(allocator.of("uid-1"), None, "{port}");
    }
}

#[test]
fn blocks_that_nobody_uses_are_given_up_once_rested_but_for_one() {
    let mut allocator = PortAllocator::default();
    for n in 0..300 {
        port(&mut allocator, n, at(0));
    }
    assert_eq!(allocator.recorded.len(), 3);
    for n in 0..300 {
        allocator.free(&format!("uid-{n}"), at(100));
    }
    assert_eq!(allocator.unrecorded(at(699)), None);
    assert_eq!(
        allocator.unrecorded(at(700)).map(|record| record.len()),
        Some(1)
    );
    assert_eq!(
        allocator.allocate(holder(1), at(700)),
        Allocation::Port(10_000)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    Free(usize),
    Confirm,
    Restart,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..400_usize).prop_map(Step::Allocate),
        4 => (0..400_usize).prop_map(Step::Free),
        2 => Just(Step::Confirm),
        1 => Just(Step::Restart),
        2 => (1..900_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_two_apps_with_a_port_and_never_an_early_reuse(steps in steps()) {
        let mut now = 0;
        let mut recorded = BTreeSet::new();
        let mut allocator = PortAllocator::default();
        let mut used: HashMap<usize, u16> = HashMap::new();
        let mut freed: HashMap<u16, i64> = HashMap::new();
        for step in steps {
            match step {
                Step::Allocate(n) => {
                    if let Allocation::Port(port) = allocator.allocate(holder(n), at(now)) {
                        let other = used.iter().find(|(app, used)| **used == port && **app != n);
                        prop_assert_eq!(other, None);
                        if used.insert(n, port).is_none() {
                            let since = freed.get(&port).map(|freed| now - freed);
                            prop_assert!(since.is_none_or(|since| since >= 600), "{port} after {since:?} s");
                        }
                        prop_assert!(recorded.contains(&block_of(port)));
                    }
                }
                Step::Free(n) => {
                    allocator.free(&holder(n).uid, at(now));
                    if let Some(port) = used.remove(&n) {
                        freed.insert(port, now);
                    }
                }
                Step::Confirm => {
                    if let Some(record) = allocator.unrecorded(at(now)) {
                        allocator.confirm(&record);
                        recorded = record;
                    }
                }
                Step::Restart => {
                    allocator = PortAllocator::recorded(&recorded, at(now));
                    for (n, port) in &used {
                        prop_assert_eq!(allocator.claim(*port, holder(*n), at(now)), None);
                    }
                    prop_assert_eq!(&allocator.wanted, &recorded);
                }
                Step::Wait(seconds) => now += seconds,
            }
        }
    }
}
