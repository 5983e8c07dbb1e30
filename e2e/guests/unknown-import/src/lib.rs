//! Imports, and calls, an interface that no host implements.

use guest_http::{Request, ResponseOutparam, text};

wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
guest_http::serve!(handle);

fn handle(_: Request, out: ResponseOutparam) {
    text(out, 200, &acme::widgets::thing::polish(3));
}
