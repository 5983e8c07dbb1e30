//! Greets with the environment variable `GREETING`, or says "hello".

use guest_http::{Request, ResponseOutparam, answer};

guest_http::serve!(handle);

fn handle(_: Request, out: ResponseOutparam) {
    let (greeting, source) = match std::env::var("GREETING") {
        Ok(greeting) => (greeting, "environment"),
        Err(_) => ("hello".to_owned(), "default"),
    };
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-greeting-from", source),
    ];
    answer(out, 200, &headers, greeting.as_bytes());
}
