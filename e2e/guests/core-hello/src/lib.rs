//! A core module that says what component it wants to be in a `component-type` section.

use guest_http::{Request, ResponseOutparam, text};

guest_http::serve!(handle);

fn handle(_: Request, out: ResponseOutparam) {
    text(out, 200, "hello from a core module\n");
}
