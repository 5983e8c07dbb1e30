//! Reads what it was given: `/<interface>/<name>` through `config` (`fermyon:spin/config`), `variables`
//! (`fermyon:spin/variables@2.0.0`), `draft` and `rc` (the two versions of `wasi:config`), or `env`;
//! `/draft` and `/rc` alone give all.

use guest_http::{Request, ResponseOutparam, text};

mod config {
    wit_bindgen::generate!({
        path: "../../../node-runtime/wit",
        world: "spin-config",
        generate_all
    });
}

mod variables {
    wit_bindgen::generate!({
        path: "../../../node-runtime/wit",
        world: "spin-variables",
        generate_all
    });
}

mod draft {
    wit_bindgen::generate!({
        path: "../../../node-runtime/wit",
        world: "config-draft",
        generate_all
    });
}

mod rc {
    wit_bindgen::generate!({
        path: "../../../node-runtime/wit",
        world: "config-rc",
        generate_all
    });
}

guest_http::serve!(handle);

/// A value, or the name of the error that the interface has for it, with its text.
type Answer = Result<String, String>;

fn handle(request: Request, out: ResponseOutparam) {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = match segments.as_slice() {
        ["config", name] => of_config(name),
        ["variables", name] => of_variables(name),
        ["draft", name] => of_draft(name),
        ["rc", name] => of_rc(name),
        ["draft"] => all(draft::wasi::config0_2_0_draft_2024_09_27::store::get_all()),
        ["rc"] => all(rc::wasi::config0_2_0_rc_1::store::get_all()),
        ["env", name] => std::env::var(name).map_err(|error| error.to_string()),
        _ => Err("no such path".to_owned()),
    };
    match answer {
        Ok(value) => text(out, 200, &value),
        Err(error) => text(out, 404, &error),
    }
}

fn of_config(name: &str) -> Answer {
    use config::fermyon::spin::config::{Error, get_config};
    get_config(name).map_err(|error| match error {
        Error::Provider(text) => format!("provider: {text}"),
        Error::InvalidKey(text) => format!("invalid-key: {text}"),
        Error::InvalidSchema(text) => format!("invalid-schema: {text}"),
        Error::Other(text) => format!("other: {text}"),
    })
}

fn of_variables(name: &str) -> Answer {
    use variables::fermyon::spin2_0_0::variables::{Error, get};
    get(name).map_err(|error| match error {
        Error::InvalidName(text) => format!("invalid-name: {text}"),
        Error::Undefined(text) => format!("undefined: {text}"),
        Error::Provider(text) => format!("provider: {text}"),
        Error::Other(text) => format!("other: {text}"),
    })
}

fn of_draft(name: &str) -> Answer {
    let value = draft::wasi::config0_2_0_draft_2024_09_27::store::get(name)
        .map_err(|error| format!("{error:?}"))?;
    value.ok_or_else(|| "none".to_owned())
}

fn of_rc(name: &str) -> Answer {
    let value =
        rc::wasi::config0_2_0_rc_1::store::get(name).map_err(|error| format!("{error:?}"))?;
    value.ok_or_else(|| "none".to_owned())
}

fn all<E: std::fmt::Debug>(pairs: Result<Vec<(String, String)>, E>) -> Answer {
    let pairs = pairs.map_err(|error| format!("{error:?}"))?;
    let lines: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(lines.join("\n"))
}
