//! Tells, as JSON, what environment and arguments it was given.

use guest_http::{Request, ResponseOutparam, array, json, object, quote};

guest_http::serve!(handle);

fn handle(_: Request, out: ResponseOutparam) {
    let vars: Vec<_> = std::env::vars().collect();
    let environment = object(
        vars.iter()
            .map(|(name, value)| (name.as_str(), quote(value))),
    );
    let arguments = array(std::env::args().map(|argument| quote(&argument)));
    json(
        out,
        200,
        &object([("environment", environment), ("arguments", arguments)]),
    );
}
