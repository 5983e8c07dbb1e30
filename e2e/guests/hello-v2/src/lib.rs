//! Answers "v2" to everything, to tell one version of an app from another.

use guest_http::{Request, ResponseOutparam, text};

guest_http::serve!(handle);

fn handle(_: Request, out: ResponseOutparam) {
    text(out, 200, "v2");
}
