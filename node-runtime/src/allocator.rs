//! The C library's allocator: how much it keeps to itself.

#![allow(
    unsafe_code,
    reason = "the allocator's own functions are those of the C library"
)]

/// As many heaps as there are processors, instead of eight times as many: what one thread frees is then what
/// another takes, and a node of many apps is not full of holes.
pub(crate) fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let heaps = nix::libc::c_int::try_from(processors.max(2)).unwrap_or(nix::libc::c_int::MAX);
        // SAFETY: `mallopt` takes no pointer; M_ARENA_MAX bounds heaps that are made from now on (mallopt(3)).
        unsafe {
            nix::libc::mallopt(nix::libc::M_ARENA_MAX, heaps);
        }
    }
}

/// Gives back to the system what is free, wherever it is in a heap. Takes milliseconds where there is much.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and touches memory that is free alone; it may be called from any thread
    // at any time (malloc_trim(3): MT-Safe).
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
