//! The pool of instance slots: memory that is reserved once and reused by every app.

use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Tables that one slot pays for; a component with more takes more slots.
pub(super) const TABLES_PER_SLOT: u32 = 8;
/// Most of each that one component may have.
pub(super) const MEMORIES_PER_COMPONENT: u32 = 16;
pub(super) const TABLES_PER_COMPONENT: u32 = 128;
pub(super) const CORE_INSTANCES_PER_COMPONENT: u32 = 200;

/// A slot's memory that stays with the process for the next instance, in bytes: what a small guest
/// touches, so that it neither faults nor is given back between two requests.
const KEEP_MEMORY: usize = 1 << 20;
const KEEP_TABLE: usize = 64 << 10;
/// Without a page map to tell which pages were touched, all that is kept is written anew each time.
const KEEP_MEMORY_UNSCANNED: usize = 128 << 10;

pub(super) fn strategy(slots: u32) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_memories(slots)
        .total_tables(slots.saturating_mul(TABLES_PER_SLOT))
        // Only counted, never reserved, so that this is not what runs out.
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_gc_heaps(slots)
        // An instance that ends while another starts holds its stack a moment longer.
        .total_stacks(slots.saturating_mul(2))
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(16 << 20)
        .table_elements(100_000)
        .table_keep_resident(KEEP_TABLE);
    if swap_is_off() && pagemap_scan_is_available() {
        pool.pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(KEEP_MEMORY);
    } else {
        pool.linear_memory_keep_resident(KEEP_MEMORY_UNSCANNED);
    }
    InstanceAllocationStrategy::Pooling(pool)
}

/// A page that was swapped out is not seen by the scan: the next instance in its slot would read
/// what the last one left. So the scan is used only where nothing can be swapped out.
fn swap_is_off() -> bool {
    match std::fs::read_to_string("/proc/swaps") {
        Ok(text) => text.lines().count() <= 1,
        Err(_) => false,
    }
}

fn pagemap_scan_is_available() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}
