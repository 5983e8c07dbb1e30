use std::time::Instant;

use super::{Bounds, Job, Turns};
use crate::{StoreId, sql::SessionId};

const BOUNDS: Bounds = Bounds {
    short: 8,
    running_per_store: 8,
    connections_per_store: 8,
    connections: 8,
    waiting_per_store: 8,
    waiting: 8,
    waiting_bytes: 8,
};

struct Call(SessionId);

impl Job for Call {
    fn session(&self) -> SessionId {
        self.0
    }

    fn bytes(&self) -> usize {
        1
    }

    fn is_gone(&self) -> bool {
        false
    }
}

#[test]
fn a_store_whose_calls_were_given_up_stands_in_the_order_once_when_they_come_again() {
    let mut turns: Turns<(), Call> = Turns::new(BOUNDS);
    let store = StoreId::random();
    let call = || Call(SessionId::random());
    assert!(turns.push(store, call()) && turns.push(store, call()));
    let (given_up, open) = turns.bar(store);
    assert_eq!((given_up.len(), open.len()), (2, 0));
    assert!(turns.is_clear(store) && !turns.has_waiting());
    assert!(!turns.push(store, call()), "nothing begins meanwhile");
    turns.unbar(store);
    assert!(turns.push(store, call()));
    assert_eq!(turns.order, [store]);
    assert!(turns.take(Instant::now()).is_some());
    assert!(turns.take(Instant::now()).is_none());
}
