//! Giving freed memory back to the system: the allocator keeps it for the process otherwise.

#![allow(
    unsafe_code,
    reason = "the allocator's own function is one of the C library"
)]

/// Gives back what is free, wherever it is in the heap. Takes milliseconds where there is much.
pub(super) fn heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and touches memory that is free alone; it may be called from any thread
    // at any time (malloc_trim(3): MT-Safe).
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
