//! A core module for `wasm32-wasip1`, as SDKs built them before there were component linkers: its
//! standard library calls `wasi_snapshot_preview1`, so the adapter is needed. It prints a line for
//! each request and tells what `GREETING` is.

use guest_http::{Request, ResponseOutparam, text};

guest_http::serve!(handle);

fn handle(request: Request, out: ResponseOutparam) {
    println!("preview 1 saw {}", request.path());
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "hello".to_owned());
    text(out, 200, &format!("{greeting} through preview 1\n"));
}
