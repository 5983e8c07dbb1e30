use std::io::Write;

use guest_http::wasip2;
use guest_http::{ResponseOutparam, text};

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;
const OUTPUT: usize = 10_000_000;
const LINE: usize = 100;

/// Touches every page, so that the memory is really there.
fn block() -> Result<Vec<u8>, std::collections::TryReserveError> {
    let mut block = Vec::new();
    block.try_reserve_exact(MIB)?;
    block.resize(MIB, 0);
    for page in block.chunks_mut(PAGE) {
        page[0] = 1;
    }
    Ok(std::hint::black_box(block))
}

pub fn allocate_without_end() {
    let mut blocks = Vec::new();
    loop {
        let mut block = vec![1_u8; MIB];
        block[0] = 2;
        blocks.push(std::hint::black_box(block));
    }
}

pub fn allocate(out: ResponseOutparam, mib: &str, hold: Option<&str>) {
    let wanted = mib.parse::<usize>().unwrap_or(1);
    let mut blocks = Vec::new();
    for got in 0..wanted {
        match block() {
            Ok(block) => blocks.push(block),
            Err(_) => return text(out, 500, &format!("refused after {got} MiB\n")),
        }
    }
    if let Some(milliseconds) = hold.and_then(|hold| hold.parse().ok()) {
        crate::wait(milliseconds);
    }
    text(out, 200, &format!("got {} MiB\n", blocks.len()));
}

pub fn print(out: ResponseOutparam, mut to: impl Write, lines: bool) {
    let mut line = [b'x'; LINE];
    if lines {
        line[LINE - 1] = b'\n';
    }
    let mut written = 0;
    while written < OUTPUT && to.write_all(&line).is_ok() {
        written += LINE;
    }
    let _ = to.flush();
    text(out, 200, &format!("wrote {written} bytes\n"));
}

pub fn random(out: ResponseOutparam, bytes: &str) {
    let bytes = wasip2::random::random::get_random_bytes(bytes.parse().unwrap_or(32));
    text(out, 200, &format!("got {} bytes\n", bytes.len()));
}

pub fn handles(out: ResponseOutparam, count: &str) {
    let count = count.parse::<u32>().unwrap_or(1000);
    let subscribe = |_| wasip2::clocks::monotonic_clock::subscribe_duration(1);
    let handles: Vec<_> = (0..count).map(subscribe).collect();
    text(out, 200, &format!("keep {} handles\n", handles.len()));
}
