//! How many host resources an instance may hold: some for nothing, more as its app has memory for
//! them, each at the price of the largest.

use wasmtime::component::ResourceTable;

use super::InstanceState;
use crate::engine::MemoryLimiter;

/// Bytes of one set of headers that a guest makes.
pub(super) const FIELDS_BYTES: usize = 64 << 10;
/// What one resource holds at most: headers, or what was written to a body that nobody reads yet.
const RESOURCE_BYTES: u64 = 128 << 10;
/// Resources that cost nothing: what answering a request takes.
const FREE: usize = 16;
/// Resources that are paid for at once.
const BATCH: usize = 16;
/// Most that one instance holds at once.
const MOST: usize = 1024;

/// Calls of a guest that cannot fill the table, since none adds more than one resource.
pub(super) struct Room {
    calls: usize,
}

impl Room {
    pub(super) fn start() -> (ResourceTable, Self) {
        let mut table = ResourceTable::new();
        table.set_max_capacity(FREE);
        // Two are there before the guest's first call: its request, and what it answers with.
        let calls = FREE - 2;
        (table, Self { calls })
    }

    /// Makes room for what one more call may add. Where there is no memory for it the table stays
    /// full, and the guest ends when it wants more.
    fn call(&mut self, table: &mut ResourceTable, limiter: &mut MemoryLimiter) {
        if let Some(left) = self.calls.checked_sub(1) {
            self.calls = left;
            return;
        }
        let (held, room) = (table.iter_mut().count(), table.max_capacity());
        let mut free = room.saturating_sub(held);
        if free < BATCH / 2 && room < MOST && limiter.keep(BATCH as u64 * RESOURCE_BYTES).is_ok() {
            table.set_max_capacity(room + BATCH);
            free += BATCH;
        }
        // This call is one of them.
        self.calls = free.saturating_sub(1);
    }
}

impl InstanceState {
    /// To be called before each call of the guest that may add a resource.
    pub(super) fn make_room(&mut self) {
        self.room.call(&mut self.table, &mut self.limiter);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wasmtime::component::Resource;

    use super::*;
    use crate::engine::{NodeMemory, Refused};

    fn limiter(app: u64) -> (MemoryLimiter, Arc<NodeMemory>) {
        let node = NodeMemory::new(1 << 40);
        let limiter = MemoryLimiter::new(Arc::clone(&node), Arc::default(), app, 1 << 40);
        (limiter, node)
    }

    fn started() -> (ResourceTable, Room) {
        let (mut table, room) = Room::start();
        table.push(()).unwrap();
        table.push(()).unwrap();
        (table, room)
    }

    fn fill(table: &mut ResourceTable, room: &mut Room, limiter: &mut MemoryLimiter) -> usize {
        let mut made = 2;
        loop {
            room.call(table, limiter);
            if table.push(()).is_err() {
                return made;
            }
            made += 1;
        }
    }

    #[test]
    fn a_guest_that_keeps_few_resources_pays_nothing_however_many_calls_it_makes() {
        let ((mut table, mut room), (mut limiter, node)) = (started(), limiter(0));
        for _ in 0..1000 {
            room.call(&mut table, &mut limiter);
            let held: Resource<()> = table.push(()).unwrap();
            table.delete(held).unwrap();
        }
        assert_eq!((node.used(), limiter.refused()), (0, None));
    }

    #[test]
    fn all_beyond_the_first_are_paid_for_at_the_price_of_the_largest() {
        let ((mut table, mut room), (mut limiter, node)) = (started(), limiter(u64::MAX));
        let made = fill(&mut table, &mut room, &mut limiter);
        assert_eq!(made, MOST);
        assert_eq!(node.used(), (MOST - FREE) as u64 * RESOURCE_BYTES);
    }

    #[test]
    fn without_memory_there_are_no_more_than_the_first() {
        let ((mut table, mut room), (mut limiter, node)) = (started(), limiter(RESOURCE_BYTES));
        let made = fill(&mut table, &mut room, &mut limiter);
        assert_eq!((made, node.used()), (FREE, 0));
        assert_eq!(limiter.refused(), Some(Refused::App));
    }
}
