//! A bound on the memory that one statement makes SQLite take.
//!
//! SQLite bounds a value, not a statement: a few lines of SQL hold thousands of values at once. Its own
//! bounds are of the whole process, where one tenant's statement would fail another's. So it gets an
//! allocator that counts, for the thread that runs a statement, what the statement has taken, and
//! refuses more than its budget. SQLite then ends the statement as out of memory, as it is made to.
//!
//! The same way ends what SQLite's own watch over time does not see: it is asked where a statement's program
//! goes back, and a program of thousands of functions in a row does not. What is large enough to take time takes
//! memory as well.

#![allow(
    unsafe_code,
    reason = "SQLite takes its allocator as a table of C functions"
)]

use std::{
    alloc::{Layout, alloc, dealloc, realloc},
    cell::{Cell, RefCell},
    ffi::{c_int, c_void},
    ptr,
    sync::OnceLock,
};

use rusqlite::ffi;

use super::watch::Watch;

/// What a statement is refused when it has to end. Less is needed to end it, and takes no time.
const LARGE: i64 = 64 << 10;
/// Before each allocation: its size, at the alignment that SQLite asks for and more.
const HEADER: usize = 16;

thread_local! {
    /// Bytes that this thread may still take; no bound outside of [`within`].
    static LEFT: Cell<Option<i64>> = const { Cell::new(None) };
    /// Says when the statement has to end.
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Makes SQLite use the allocator, for all of the process. Has to come before its first use; `false` if
/// it came too late.
pub(crate) fn install() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let methods = ffi::sqlite3_mem_methods {
            xMalloc: Some(allocate),
            xFree: Some(free),
            xRealloc: Some(reallocate),
            xSize: Some(size),
            xRoundup: Some(round_up),
            xInit: Some(init),
            xShutdown: Some(shutdown),
            pAppData: ptr::null_mut(),
        };
        // SAFETY: the option takes a pointer to the table, which SQLite copies. The call fails and does
        // nothing if SQLite is in use already.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) };
        code == ffi::SQLITE_OK
    })
}

/// Runs `work`, in which SQLite takes at most `budget` bytes more than it gives back, and nothing large once `watch`
/// is over. Gives beside its result how many it took and kept (negative: gave back).
pub(super) fn within<T>(budget: u32, watch: &Watch, work: impl FnOnce() -> T) -> (T, i64) {
    /// A panic in `work` leaves no budget behind.
    struct Unbounded;
    impl Drop for Unbounded {
        fn drop(&mut self) {
            LEFT.set(None);
            WATCH.set(None);
        }
    }
    let budget = i64::from(budget);
    LEFT.set(Some(budget));
    WATCH.set(Some(watch.clone()));
    let unbounded = Unbounded;
    let result = work();
    let left = LEFT.get().unwrap_or(budget);
    drop(unbounded);
    (result, budget - left)
}

fn is_over() -> bool {
    let asked = WATCH.try_with(|watch| watch.borrow().as_ref().is_some_and(Watch::is_over));
    // A thread that ends has none any more.
    asked.unwrap_or(false)
}

/// Counts `bytes` (negative: given back), unless they are more than there are left or come too late.
fn charge(bytes: i64) -> bool {
    let Some(left) = LEFT.get() else { return true };
    let then = left.saturating_sub(bytes);
    if bytes > 0 && then < 0 || bytes >= LARGE && is_over() {
        return false;
    }
    LEFT.set(Some(then));
    true
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(HEADER)?, HEADER).ok()
}

fn counted(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

unsafe extern "C" fn allocate(bytes: c_int) -> *mut c_void {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let Some(layout) = layout(bytes) else {
        return ptr::null_mut();
    };
    if !charge(counted(bytes)) {
        return ptr::null_mut();
    }
    // SAFETY: the layout is not empty; the header lies within what was allocated, and is aligned.
    unsafe {
        let base = alloc(layout);
        if base.is_null() {
            charge(-counted(bytes));
            return ptr::null_mut();
        }
        base.cast::<usize>().write(bytes);
        base.add(HEADER).cast()
    }
}

/// Where an allocation starts, and its size.
///
/// # Safety
/// `of` comes from [`allocate`] or [`reallocate`] and was not freed.
unsafe fn origin(of: *mut c_void) -> (*mut u8, usize) {
    // SAFETY: as the caller says, the header lies before it.
    unsafe {
        let base = of.cast::<u8>().sub(HEADER);
        (base, base.cast::<usize>().read())
    }
}

unsafe extern "C" fn free(of: *mut c_void) {
    if of.is_null() {
        return;
    }
    // SAFETY: SQLite frees only what it was given here, once.
    unsafe {
        let (base, bytes) = origin(of);
        if let Some(layout) = layout(bytes) {
            charge(-counted(bytes));
            dealloc(base, layout);
        }
    }
}

unsafe extern "C" fn reallocate(of: *mut c_void, bytes: c_int) -> *mut c_void {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    // SAFETY: SQLite resizes only what it was given here and has not freed, never to nothing.
    unsafe {
        let (base, before) = origin(of);
        let (Some(old), Some(new)) = (layout(before), layout(bytes)) else {
            return ptr::null_mut();
        };
        let more = counted(bytes) - counted(before);
        if !charge(more) {
            return ptr::null_mut();
        }
        let base = realloc(base, old, new.size());
        if base.is_null() {
            charge(-more);
            return ptr::null_mut();
        }
        base.cast::<usize>().write(bytes);
        base.add(HEADER).cast()
    }
}

unsafe extern "C" fn size(of: *mut c_void) -> c_int {
    if of.is_null() {
        return 0;
    }
    // SAFETY: SQLite asks only of what it was given here and has not freed.
    let (_, bytes) = unsafe { origin(of) };
    c_int::try_from(bytes).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn round_up(bytes: c_int) -> c_int {
    bytes.saturating_add(7) & !7
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shutdown(_: *mut c_void) {}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, ErrorCode};

    use super::*;

    #[test]
    fn a_statement_takes_no_more_than_its_budget_and_the_next_one_does_as_before() {
        assert!(install(), "SQLite was in use before");
        let connection = Connection::open_in_memory().unwrap();
        let hungry = "SELECT length(hex(zeroblob(900000))) + length(hex(zeroblob(900001)))";
        let ask = || connection.query_row(hungry, [], |row| row.get::<_, i64>(0));
        let (refused, _) = within(2 << 20, &Watch::default(), ask);
        let code = refused.unwrap_err().sqlite_error_code();
        assert_eq!(code, Some(ErrorCode::OutOfMemory));
        let (done, kept) = within(16 << 20, &Watch::default(), ask);
        assert_eq!(done.unwrap(), 3_600_002);
        assert!(kept < 1 << 20, "{kept}");
        assert!(ask().is_ok(), "without a bound");
    }
}
