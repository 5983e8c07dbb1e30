//! Everything that an app should not do. Each path is one misdeed:
//!
//! | path | does |
//! |---|---|
//! | `/spin` | loops for ever |
//! | `/alloc` | allocates and touches memory until the program dies of it |
//! | `/alloc/MIB[?hold=MS]` | allocates that much, holds it, answers; 500 if it is refused |
//! | `/trap`, `/panic`, `/recurse` | dies: `unreachable`, a panic, a stack overflow |
//! | `/exit` | leaves through `wasi:cli/exit` |
//! | `/never` | never answers |
//! | `/sleep/MS` | answers late |
//! | `/no-response` | returns without a response |
//! | `/error` | responds with an error instead of a response |
//! | `/broken` | promises 100 bytes, sends 10, finishes |
//! | `/broken/long` | promises 10 bytes, sends 100 |
//! | `/broken/drop` | sends 10 bytes and drops the body unfinished |
//! | `/broken/trap` | sends 10 bytes and dies |
//! | `/trickle` | a byte a second, for ever |
//! | `/silent-body` | headers, then nothing |
//! | `/endless` | a body without end |
//! | `/big-headers` | a MiB of headers |
//! | `/bad-headers` | headers that only a host may set |
//! | `/stdout`, `/stdout/line`, `/stderr` | 10 MB of output, in lines or as one line |
//! | `/random/BYTES` | asks the host for that many random bytes at once |
//! | `/handles/COUNT` | keeps that many host resources |

mod http;
mod resources;

use guest_http::wasip2;
use guest_http::{Request, ResponseOutparam, text};

guest_http::serve!(handle);

fn handle(request: Request, out: ResponseOutparam) {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
        [""] => text(out, 200, "I behave, so far.\n"),
        ["spin"] => spin(),
        ["trap"] => core::arch::wasm32::unreachable(),
        ["panic"] => panic!("as asked"),
        ["recurse"] => text(out, 200, &recurse(1).to_string()),
        ["exit"] => std::process::exit(3),
        ["never"] => wait(u64::MAX),
        ["sleep", milliseconds] => {
            let milliseconds = milliseconds.parse().unwrap_or(1000);
            wait(milliseconds);
            text(out, 200, &format!("slept {milliseconds} ms\n"));
        }
        ["alloc"] => resources::allocate_without_end(),
        ["alloc", mib] => resources::allocate(out, mib, request.query("hold").as_deref()),
        ["stdout"] => resources::print(out, std::io::stdout(), true),
        ["stdout", "line"] => resources::print(out, std::io::stdout(), false),
        ["stderr"] => resources::print(out, std::io::stderr(), true),
        ["random", bytes] => resources::random(out, bytes),
        ["handles", count] => resources::handles(out, count),
        _ => http::misbehave(&segments, out),
    }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    match std::hint::black_box(depth) {
        0 => 0,
        depth => recurse(depth.wrapping_add(1)).wrapping_add(1),
    }
}

/// Waits on a clock of the host, as a guest does that has nothing to compute.
fn wait(milliseconds: u64) {
    let nanoseconds = milliseconds.saturating_mul(1_000_000);
    wasip2::clocks::monotonic_clock::subscribe_duration(nanoseconds).block();
}
