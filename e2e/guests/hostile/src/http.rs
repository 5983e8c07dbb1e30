use guest_http::wasip2::http::types::{ErrorCode, Fields};
use guest_http::{Body, ResponseOutparam, start, text, variant_name};

const PROMISED: [(&str, &str); 1] = [("content-length", "100")];
const TEN: &[u8] = b"ten bytes\n";

pub fn misbehave(segments: &[&str], out: ResponseOutparam) {
    match segments {
        ["no-response"] => drop(out),
        ["error"] => ResponseOutparam::set(out, Err(ErrorCode::InternalError(None))),
        ["broken"] => {
            let body = start(out, 200, &PROMISED);
            let _ = body.write(TEN);
            report(body.finish());
        }
        ["broken", "long"] => {
            let body = start(out, 200, &[("content-length", "10")]);
            let _ = body.write(&TEN.repeat(10));
            report(body.finish());
        }
        ["broken", "drop"] => drop(begun(out)),
        ["broken", "trap"] => {
            let _body = begun(out);
            core::arch::wasm32::unreachable();
        }
        ["trickle"] => trickle(out),
        ["silent-body"] => {
            let _body = start(out, 200, &[]);
            crate::wait(u64::MAX);
        }
        ["endless"] => {
            let body = start(out, 200, &[]);
            while body.write(&[b'x'; 4096]).is_ok() {}
        }
        ["big-headers"] => big_headers(out),
        ["bad-headers"] => bad_headers(out),
        _ => text(out, 404, "no such misdeed\n"),
    }
}

fn begun(out: ResponseOutparam) -> Body {
    let body = start(out, 200, &[]);
    let _ = body.write(TEN);
    body
}

fn trickle(out: ResponseOutparam) {
    let body = start(out, 200, &[]);
    while body.write(b".").is_ok() {
        crate::wait(1000);
    }
}

fn big_headers(out: ResponseOutparam) {
    let value = "x".repeat(1024);
    let names: Vec<String> = (0..1024).map(|n| format!("x-{n}")).collect();
    let headers: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), value.as_str()))
        .collect();
    let _ = start(out, 200, &headers).finish();
}

fn bad_headers(out: ResponseOutparam) {
    let fields = Fields::new();
    let line = |(name, value): (&str, &str)| match fields.append(name, value.as_bytes()) {
        Ok(()) => format!("{name}: taken\n"),
        Err(error) => format!("{name}: {}\n", variant_name(&error)),
    };
    let headers = [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "h2c"),
        ("x-split", "a\r\nx-injected: b"),
        ("no good name", "x"),
    ];
    text(out, 200, &headers.map(line).concat());
}

fn report(finished: Result<(), ErrorCode>) {
    if let Err(code) = finished {
        eprintln!("the body was refused: {}", variant_name(&code));
    }
}
