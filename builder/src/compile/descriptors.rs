//! Descriptors and life of the child. The only `unsafe` code of this crate.
#![allow(unsafe_code, reason = "three calls that have no safe wrapper")]

use std::{io::Write as _, thread};

/// Closes every descriptor but the three standard ones. Everything that Rust opens is closed by
/// `exec` anyway; this holds for what a library may have opened otherwise.
pub(super) fn close_inherited() {
    let (first, last, flags): (libc::c_uint, libc::c_uint, libc::c_uint) =
        (3, libc::c_uint::MAX, 0);
    // SAFETY: called before this process has opened anything of its own, so that no descriptor that
    // is closed here belongs to a live object.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}

/// Ends this process once nobody reads its output any more: its parent is gone, or has given up.
///
/// `PR_SET_PDEATHSIG` would follow the parent's thread, which may end long before the parent.
pub(super) fn end_with_parent() {
    thread::spawn(|| {
        // Errors and hang-ups are always reported; nothing else is asked for.
        let mut stdout = libc::pollfd {
            fd: libc::STDOUT_FILENO,
            events: 0,
            revents: 0,
        };
        // SAFETY: one structure is given, and it outlives the call.
        while unsafe { libc::poll(&raw mut stdout, 1, -1) } <= 0 {}
        let _ = std::io::stderr().write_all(b"the parent is gone");
        // SAFETY: `_exit` ends the process at once and touches no memory of it.
        unsafe { libc::_exit(1) }
    });
}
