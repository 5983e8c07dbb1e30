//! A handler of `wasi:http/handler@0.3.0`, straight on the bindings. Each path is one way of
//! answering, good or bad:
//!
//! | path | does |
//! |---|---|
//! | `/` | says hello |
//! | `/echo` | writes the body back as it comes |
//! | `/pass` | gives the stream of the request to the response |
//! | `/request` | describes the request, a line for each part |
//! | `/trailers` | a body with trailers |
//! | `/empty` | no body |
//! | `/after/MS` | answers, then works on for so long and prints that it is done |
//! | `/sent` | answers, then prints whether the body arrived |
//! | `/never`, `/idle` | waits for a clock that is far off, for nothing at all |
//! | `/spin`, `/yield` | computes for ever; the second gives way again and again |
//! | `/trap`, `/error` | dies, answers with an error |
//! | `/broken/trap`, `/broken/error`, `/broken/short` | begins a body and does not end it well |
//! | `/silent-body`, `/forgotten`, `/trickle`, `/endless` | bodies that do not end |
//! | `/streams/COUNT`, `/calls/COUNT` | keeps that many streams, calls of the host |
//! | `/denied` | tries to leave: a line for each attempt |

mod bodies;
mod denied;
mod many;

use std::future::pending;

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};
use wasip3::wit_bindgen::yield_async;

use bodies::text;

struct Handler;
wasip3::http::service::export!(Handler);

const MILLISECOND: u64 = 1_000_000;

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match segments[..] {
            [""] => Ok(text("hello from 0.3\n")),
            ["request"] => Ok(text(&describe(&request))),
            ["echo"] => Ok(bodies::echo(request)),
            ["pass"] => Ok(bodies::pass(request)),
            ["after", milliseconds] => {
                let nanoseconds = milliseconds.parse().unwrap_or(1) * MILLISECOND;
                wasip3::spawn(async move {
                    wait_for(nanoseconds).await;
                    println!("done after the answer");
                });
                Ok(text("answered\n"))
            }
            ["never"] => {
                wait_for(u64::MAX).await;
                Ok(text("late\n"))
            }
            ["idle"] => pending().await,
            ["spin"] => spin(),
            ["yield"] => loop {
                yield_async().await;
            },
            ["trap"] => core::arch::wasm32::unreachable(),
            ["error"] => Err(ErrorCode::LoopDetected),
            ["streams", count] => Ok(many::streams(count)),
            ["calls", count] => Ok(many::calls(count).await),
            ["denied"] => Ok(text(&denied::attempts().await)),
            _ => bodies::answer(&segments),
        }
    }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn describe(request: &Request) -> String {
    let mut lines = vec![
        format!("method {:?}", request.get_method()),
        format!("scheme {:?}", request.get_scheme()),
        format!("authority {:?}", request.get_authority()),
        format!("path {:?}", request.get_path_with_query()),
    ];
    let headers = request.get_headers().copy_all();
    lines.extend(headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value);
        format!("header {name}: {value}")
    }));
    lines.join("\n")
}
