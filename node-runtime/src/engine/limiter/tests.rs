use super::*;

const PAGE: usize = 65_536;

fn limiter(node: u64, app: u64, instance: u64) -> MemoryLimiter {
    MemoryLimiter::new(NodeMemory::new(node), Arc::default(), app, instance)
}

#[test]
fn the_smallest_bound_decides_and_is_named() {
    let page = PAGE as u64;
    for (node, app, instance, refused) in [
        (9, 9, 1, Refused::Instance),
        (9, 1, 9, Refused::App),
        (1, 9, 9, Refused::Node),
    ] {
        let mut limiter = limiter(node * page, app * page, instance * page);
        assert!(limiter.memory_growing(0, PAGE, None).unwrap());
        assert_eq!(limiter.refused(), None);
        assert!(!limiter.memory_growing(PAGE, 2 * PAGE, None).unwrap());
        assert_eq!(limiter.refused(), Some(refused));
        let app = limiter.app.used.load(Ordering::Relaxed);
        assert_eq!((app, limiter.node.used()), (page, page));
    }
}

#[test]
fn what_an_instance_used_is_given_back() {
    let mut limiter = limiter(1 << 30, 1 << 30, 1 << 30);
    let (node, app) = (Arc::clone(&limiter.node), Arc::clone(&limiter.app));
    assert!(limiter.memory_growing(0, PAGE, Some(PAGE)).unwrap());
    assert!(
        !limiter.memory_growing(PAGE, 2 * PAGE, Some(PAGE)).unwrap(),
        "past its maximum"
    );
    assert_eq!(node.used(), PAGE as u64);
    drop(limiter);
    assert_eq!((node.used(), app.used.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn tables_are_memory() {
    let mut limiter = limiter(1 << 30, 1000, 1 << 30);
    assert!(limiter.table_growing(0, 100, None).unwrap());
    assert_eq!(limiter.node.used(), 800);
    assert!(!limiter.table_growing(100, 126, None).unwrap());
    assert_eq!(limiter.refused(), Some(Refused::App));
    let node = Arc::clone(&limiter.node);
    drop(limiter);
    assert_eq!(node.used(), 0);
}

#[test]
fn what_the_host_keeps_is_charged_until_it_is_released() {
    let mut limiter = limiter(1 << 30, 1000, 1 << 30);
    limiter.keep(400).unwrap();
    limiter.pass(600).unwrap();
    assert_eq!(limiter.keep(1), Err(Refused::App));
    limiter.pass(100).unwrap();
    assert_eq!(limiter.node.used(), 500, "one thing passes at a time");
    limiter.release(400);
    assert_eq!(limiter.node.used(), 100);
    assert_eq!(limiter.pass(2000), Err(Refused::App));
    assert_eq!(
        limiter.node.used(),
        0,
        "what passed before is gone all the same"
    );
    limiter.keep(1000).unwrap();
    let (node, app) = (Arc::clone(&limiter.node), Arc::clone(&limiter.app));
    drop(limiter);
    assert_eq!((node.used(), app.used.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn the_host_keeps_no_more_for_an_instance_than_the_instance_may_have() {
    let mut limiter = limiter(1 << 30, 1 << 30, 1000);
    limiter.keep(1000).unwrap();
    assert_eq!(limiter.keep(1), Err(Refused::Instance));
    assert!(
        limiter.table_growing(0, 10, None).unwrap(),
        "beside its own"
    );
}
