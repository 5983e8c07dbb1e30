//! A core module that also imports `wasi_snapshot_preview1`, so it needs the adapter: it prints
//! a line through `fd_write` for each request.

use guest_http::{Request, ResponseOutparam, text};

guest_http::serve!(handle);

/// `ciovec` of preview 1.
#[repr(C)]
struct Piece {
    start: *const u8,
    length: usize,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_write(fd: u32, pieces: *const Piece, count: usize, written: *mut usize) -> u16;
}

const STDOUT: u32 = 1;

fn handle(request: Request, out: ResponseOutparam) {
    let line = format!("preview 1 saw {}\n", request.path());
    match print(&line) {
        Ok(written) => text(
            out,
            200,
            &format!("printed {written} bytes through preview 1\n"),
        ),
        Err(errno) => text(out, 500, &format!("fd_write failed with errno {errno}\n")),
    }
}

fn print(line: &str) -> Result<usize, u16> {
    let piece = Piece {
        start: line.as_ptr(),
        length: line.len(),
    };
    let mut written = 0;
    // SAFETY: `piece` describes `line` and both outlive the call, as does `written`.
    let errno = unsafe { fd_write(STDOUT, &piece, 1, &mut written) };
    match errno {
        0 => Ok(written),
        errno => Err(errno),
    }
}
