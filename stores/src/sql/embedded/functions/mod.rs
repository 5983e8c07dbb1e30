//! Functions of SQLite's whose own versions take a time that grows with the product of their arguments, and which
//! nothing can end. These give the same results in a time that grows with the sum, and end when the statement has to.

#![allow(
    unsafe_code,
    reason = "SQLite takes a function as a pointer to a C function"
)]

mod characters;
mod search;

use std::{
    borrow::Cow,
    ffi::{CStr, CString, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use rusqlite::{Connection as Sqlite, Error, ffi};

use self::{
    characters::{LeftTrim, RightTrim, Trim, Unhex},
    search::{Instr, Replace},
};
use super::watch::Watch;

/// Arguments with fewer bytes take no time worth asking for.
const SHORT: usize = 4096;

/// One function.
trait Function {
    const NAME: &'static CStr;
    /// How many arguments it may have.
    const COUNTS: &'static [c_int];

    fn call<'a>(arguments: &[Argument<'a>], bounds: &Bounds<'_>) -> Result<Output<'a>, Stop>;
}

/// A value that a function was given; `None` is `NULL`.
#[derive(Clone, Copy, Debug)]
struct Argument<'a> {
    bytes: Option<&'a [u8]>,
    is_blob: bool,
}

/// What a call is bounded by.
struct Bounds<'a> {
    watch: &'a Watch,
    /// Bytes of a value.
    length: usize,
}

impl Bounds<'_> {
    fn check_time(&self) -> Result<(), Stop> {
        match self.watch.is_over() {
            true => Err(Stop::Over),
            false => Ok(()),
        }
    }
}

/// What a function gives.
#[derive(Debug, PartialEq)]
enum Output<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, [u8]>),
    Blob(Vec<u8>),
}

/// Why a function gives nothing.
#[derive(Debug, PartialEq)]
enum Stop {
    /// The statement has to end.
    Over,
    /// The result would be larger than a value may be.
    TooBig,
    /// An argument is not taken; in words for the guest.
    Refused(String),
}

/// Puts the functions of this module in the place of SQLite's own.
pub(super) fn install(sqlite: &Sqlite, watch: &Watch) -> rusqlite::Result<()> {
    register::<Instr>(sqlite, watch)?;
    register::<Replace>(sqlite, watch)?;
    register::<Trim>(sqlite, watch)?;
    register::<LeftTrim>(sqlite, watch)?;
    register::<RightTrim>(sqlite, watch)?;
    register::<Unhex>(sqlite, watch)
}

fn register<F: Function>(sqlite: &Sqlite, watch: &Watch) -> rusqlite::Result<()> {
    for count in F::COUNTS {
        let watch = Box::into_raw(Box::new(watch.clone())).cast::<c_void>();
        let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
        // SAFETY: the connection is open and the name ends with NUL. SQLite gives `watch` to `entry`, and to
        // `forget` once, when the function is gone or could not be registered.
        let code = unsafe {
            ffi::sqlite3_create_function_v2(
                sqlite.handle(),
                F::NAME.as_ptr(),
                *count,
                flags,
                watch,
                Some(entry::<F>),
                None,
                None,
                Some(forget),
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(Error::SqliteFailure(ffi::Error::new(code), None));
        }
    }
    Ok(())
}

unsafe extern "C" fn forget(watch: *mut c_void) {
    // SAFETY: it is the box of `register`, which SQLite gives back once.
    drop(unsafe { Box::from_raw(watch.cast::<Watch>()) });
}

unsafe extern "C" fn entry<F: Function>(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: SQLite gives as many values as it says and what `register` gave it; all of it is there until
        // this function returns.
        let (values, watch, length) = unsafe {
            let database = ffi::sqlite3_context_db_handle(context);
            (
                slice::from_raw_parts(values, count),
                &*ffi::sqlite3_user_data(context).cast::<Watch>(),
                ffi::sqlite3_limit(database, ffi::SQLITE_LIMIT_LENGTH, -1),
            )
        };
        let bounds = Bounds {
            watch,
            length: usize::try_from(length).unwrap_or(0),
        };
        // SAFETY: each is a value of this call.
        let arguments: Vec<Argument<'_>> = values
            .iter()
            .map(|value| unsafe { argument(*value) })
            .collect();
        let bytes = arguments.iter().flat_map(|argument| argument.bytes);
        if bytes.map(<[u8]>::len).sum::<usize>() > SHORT {
            bounds.check_time()?;
        }
        // SAFETY: the context is that of this call.
        F::call(&arguments, &bounds).map(|output| unsafe { give(context, &output) })
    }));
    let stop = match done {
        Ok(Ok(())) => return,
        Ok(Err(stop)) => stop,
        Err(_) => Stop::Refused("the function failed".to_owned()),
    };
    // SAFETY: the context is that of this call.
    unsafe { fail(context, stop) }
}

/// # Safety
/// `value` is an argument of a call that has not returned.
unsafe fn argument<'a>(value: *mut ffi::sqlite3_value) -> Argument<'a> {
    // SAFETY: as the caller says. What a pointer points to stays as it is: nothing else asks for the value. Its
    // bytes are asked for after it was made what it is to be.
    unsafe {
        let is_blob = ffi::sqlite3_value_type(value) == ffi::SQLITE_BLOB;
        let start = match is_blob {
            true => ffi::sqlite3_value_blob(value).cast::<u8>(),
            false => ffi::sqlite3_value_text(value),
        };
        let length = usize::try_from(ffi::sqlite3_value_bytes(value)).unwrap_or(0);
        let bytes = match (start.is_null(), is_blob) {
            (false, _) => Some(slice::from_raw_parts(start, length)),
            // A blob of no bytes has no place.
            (true, true) => Some(&[][..]),
            (true, false) => None,
        };
        Argument { bytes, is_blob }
    }
}

/// # Safety
/// `context` is that of a call that has not returned.
unsafe fn give(context: *mut ffi::sqlite3_context, output: &Output<'_>) {
    let copied = ffi::SQLITE_TRANSIENT();
    // SAFETY: as the caller says; SQLite copies the bytes before it returns.
    unsafe {
        match output {
            Output::Null => ffi::sqlite3_result_null(context),
            Output::Integer(value) => ffi::sqlite3_result_int64(context, *value),
            Output::Text(text) => ffi::sqlite3_result_text64(
                context,
                text.as_ptr().cast(),
                text.len() as u64,
                copied,
                ffi::SQLITE_UTF8 as u8,
            ),
            Output::Blob(blob) => {
                ffi::sqlite3_result_blob64(context, blob.as_ptr().cast(), blob.len() as u64, copied)
            }
        }
    }
}

/// # Safety
/// As of [`give`].
unsafe fn fail(context: *mut ffi::sqlite3_context, stop: Stop) {
    // SAFETY: as the caller says; SQLite copies the message.
    unsafe {
        match stop {
            Stop::Over => ffi::sqlite3_result_error_code(context, ffi::SQLITE_INTERRUPT),
            Stop::TooBig => ffi::sqlite3_result_error_toobig(context),
            Stop::Refused(why) => {
                let why = CString::new(why).unwrap_or_default();
                ffi::sqlite3_result_error(context, why.as_ptr(), -1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
