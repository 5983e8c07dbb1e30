//! Sends the request body back while it is still arriving; `/headers` describes the request as
//! JSON instead.

use guest_http::{Request, ResponseOutparam, array, json, object, quote, start};

guest_http::serve!(handle);

fn handle(request: Request, out: ResponseOutparam) {
    match request.path() {
        "/headers" => json(out, 200, &describe(&request)),
        _ => echo(&request, out),
    }
}

fn echo(request: &Request, out: ResponseOutparam) {
    let headers = request.headers();
    let content_type = headers.iter().find(|(name, _)| name == "content-type");
    let content_type = content_type.map_or("application/octet-stream", |(_, value)| value);
    let body = start(out, 200, &[("content-type", content_type)]);
    // A body that is dropped unfinished tells the client that the echo is not whole.
    if request.stream(|chunk| body.write(chunk).is_ok()).is_ok() {
        let _ = body.finish();
    }
}

fn describe(request: &Request) -> String {
    let headers = request.headers();
    let pair = |(name, value): &(String, String)| array([quote(name), quote(value)]);
    object([
        ("method", quote(&request.method())),
        ("path", quote(&request.path_with_query())),
        (
            "authority",
            request
                .authority()
                .map_or("null".to_owned(), |name| quote(&name)),
        ),
        ("headers", array(headers.iter().map(pair))),
    ])
}
