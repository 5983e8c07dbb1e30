//! Slots of the instance pool, counted here so that the pool itself never runs out.

use std::sync::Arc;

use wasmtime::component::Component;

use super::{pool, ticker::Ticker};

/// How many slots are taken.
pub struct Slots {
    total: u32,
    ticker: Ticker,
}

/// Slots held by one instance, given back when dropped.
pub struct Slot {
    slots: Arc<Slots>,
    weight: u32,
}

impl Slots {
    pub(super) fn new(total: u32, ticker: Ticker) -> Arc<Self> {
        Arc::new(Self { total, ticker })
    }

    /// Takes `weight` slots, if that many are free.
    pub fn take(self: &Arc<Self>, weight: u32) -> Option<Slot> {
        if self.ticker.add(weight).saturating_add(weight) > self.total {
            self.ticker.remove(weight);
            return None;
        }
        Some(Slot {
            slots: Arc::clone(self),
            weight,
        })
    }

    /// Slots in use now.
    pub fn taken(&self) -> u32 {
        self.ticker.running()
    }

    /// Slots in all.
    pub fn total(&self) -> u32 {
        self.total
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.ticker.remove(self.weight);
    }
}

/// Slots that an instance of `component` takes.
///
/// # Errors
/// What the component needs that no slot has.
pub(crate) fn weight(component: &Component) -> Result<u32, String> {
    let Some(needs) = component.resources_required() else {
        return Err("it imports modules or components, and no part of the App gives them".into());
    };
    if needs.num_memories > pool::MEMORIES_PER_COMPONENT {
        let most = pool::MEMORIES_PER_COMPONENT;
        return Err(format!(
            "it has {} memories; at most {most} are allowed",
            needs.num_memories
        ));
    }
    if needs.num_tables > pool::TABLES_PER_COMPONENT {
        let most = pool::TABLES_PER_COMPONENT;
        return Err(format!(
            "it has {} tables; at most {most} are allowed",
            needs.num_tables
        ));
    }
    Ok(needs
        .num_memories
        .max(needs.num_tables.div_ceil(pool::TABLES_PER_SLOT))
        .max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_slots_are_given_than_there_are() {
        let engine = wasmtime::Engine::default();
        let slots = Slots::new(3, super::super::ticker::start(&engine).unwrap());
        let two = slots.take(2).unwrap();
        assert!(slots.take(2).is_none());
        let one = slots.take(1).unwrap();
        assert!(slots.take(1).is_none());
        drop(two);
        assert_eq!(slots.taken(), 1);
        assert!(slots.take(2).is_some());
        drop(one);
        assert_eq!(slots.taken(), 0);
    }
}
