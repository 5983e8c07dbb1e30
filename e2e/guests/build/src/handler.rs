use crate::encode::{COMPONENT, MODULE, name, parts, section};

const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;
const INSTANCE: u8 = 5;
const ALIAS: u8 = 6;
const TYPE: u8 = 7;
const CANONICAL: u8 = 8;
const IMPORT: u8 = 10;
const EXPORT: u8 = 11;

const REQUEST: &str = "incoming-request";
const RESPONSE: &str = "response-outparam";
const HANDLE: &str = "handle";

/// The smallest component that exports `wasi:http/incoming-handler`: its handler returns at once,
/// without a response.
pub(crate) fn handler() -> Vec<u8> {
    let mut component = COMPONENT.to_vec();
    types(&mut component);
    section(&mut component, CORE_MODULE, &module());
    // Instance 0 of module 0, without arguments.
    section(&mut component, CORE_INSTANCE, &[1, 0, 0, 0]);
    // Core function 0 is its export.
    section(
        &mut component,
        ALIAS,
        &parts(&[&[1, 0, 0, 1, 0], &name(HANDLE)]),
    );
    // Function 0 is core function 0 lifted to type 5, without options.
    section(&mut component, CANONICAL, &[1, 0, 0, 0, 0, 5]);
    // Instance 1 (0 is the import) exports function 0.
    section(
        &mut component,
        INSTANCE,
        &parts(&[&[1, 1, 1, 0], &name(HANDLE), &[1, 0]]),
    );
    let interface = name("wasi:http/incoming-handler@0.2.0");
    section(
        &mut component,
        EXPORT,
        &parts(&[&[1, 0], &interface, &[5, 1, 0]]),
    );
    component
}

/// Types 1 and 2 are the resources of `wasi:http/types`, 3 and 4 own them, 5 is the handler.
fn types(component: &mut Vec<u8>) {
    const RESOURCE: [u8; 2] = [3, 1];
    let exports = parts(&[
        &[4, 0],
        &name(REQUEST),
        &RESOURCE,
        &[4, 0],
        &name(RESPONSE),
        &RESOURCE,
    ]);
    section(component, TYPE, &parts(&[&[1, 0x42, 2], &exports]));
    section(
        component,
        IMPORT,
        &parts(&[&[1, 0], &name("wasi:http/types@0.2.0"), &[5, 0]]),
    );
    let alias = |resource| parts(&[&[3, 0, 0], &name(resource)]);
    section(
        component,
        ALIAS,
        &parts(&[&[2], &alias(REQUEST), &alias(RESPONSE)]),
    );
    let parameters = parts(&[&name("request"), &[3], &name("response-out"), &[4]]);
    section(
        component,
        TYPE,
        &parts(&[&[3, 0x69, 1, 0x69, 2, 0x40, 2], &parameters, &[1, 0]]),
    );
}

/// A core module that exports `handle: (i32, i32) -> ()`, which does nothing.
fn module() -> Vec<u8> {
    let mut module = MODULE.to_vec();
    section(&mut module, 1, &[1, 0x60, 2, 0x7f, 0x7f, 0]);
    section(&mut module, 3, &[1, 0]);
    section(&mut module, 7, &parts(&[&[1], &name(HANDLE), &[0, 0]]));
    section(&mut module, 10, &[1, 2, 0, 0x0b]);
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_handler_is_a_valid_component() {
        wasmparser::Validator::new()
            .validate_all(&handler())
            .unwrap();
    }
}
