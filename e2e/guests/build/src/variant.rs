//! Variants for tests that need many components, or one that is hard to compile.

use crate::encode::{MODULE, name, number, section};
use crate::handler::handler;

const CUSTOM_SECTION: u8 = 0;
const CORE_MODULE_SECTION: u8 = 1;

/// A copy with another digest that behaves the same: `n` goes into a custom section. Takes
/// components and core modules.
pub fn distinct(wasm: &[u8], n: u64) -> Vec<u8> {
    let mut content = name("shoal-distinct");
    content.extend_from_slice(&n.to_le_bytes());
    let mut copy = wasm.to_vec();
    section(&mut copy, CUSTOM_SECTION, &content);
    copy
}

/// A component that exports `wasi:http/incoming-handler` and takes very long to compile: it
/// carries a core module, never instantiated, of `functions` functions of 7 KiB, each of which
/// keeps Cranelift busy for more than ten seconds and 150 MB. With 64 it is half a MiB.
pub fn huge_component(functions: u32) -> Vec<u8> {
    let mut huge = handler();
    section(&mut huge, CORE_MODULE_SECTION, &hard_module(functions));
    huge
}

fn hard_module(functions: u32) -> Vec<u8> {
    let mut module = MODULE.to_vec();
    // One type: (i32) -> i32.
    section(&mut module, 1, &[1, 0x60, 1, 0x7f, 1, 0x7f]);
    let mut types = Vec::new();
    number(&mut types, functions);
    types.resize(types.len() + functions as usize, 0);
    section(&mut module, 3, &types);
    let body = hard_function();
    let mut code = Vec::new();
    number(&mut code, functions);
    for _ in 0..functions {
        number(&mut code, body.len() as u32);
        code.extend_from_slice(&body);
    }
    section(&mut module, 10, &code);
    module
}

/// Each loop header has a parameter for each local: the work grows with their product.
const LOCALS: u32 = 400;
const LOOPS: usize = 200;

const I32: u8 = 0x7f;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const BRANCH_IF: u8 = 0x0d;
const GET: u8 = 0x20;
const SET: u8 = 0x21;
const NO_RESULT: u8 = 0x40;
const ADD: u8 = 0x6a;

/// In deeply nested loops, every local may be set from two others.
fn hard_function() -> Vec<u8> {
    let mut body = vec![1];
    number(&mut body, LOCALS);
    body.push(I32);
    body.extend([LOOP, NO_RESULT].repeat(LOOPS));
    for n in 0..LOCALS {
        local(&mut body, GET, n * 7);
        body.extend([IF, NO_RESULT]);
        local(&mut body, GET, n * 13 + 1);
        local(&mut body, GET, n * 31 + 2);
        body.push(ADD);
        local(&mut body, SET, n);
        body.push(END);
    }
    for _ in 0..LOOPS {
        local(&mut body, GET, 0);
        body.extend([BRANCH_IF, 0, END]);
    }
    local(&mut body, GET, 0);
    body.push(END);
    body
}

/// Local 0 is the parameter; the others follow it.
fn local(body: &mut Vec<u8>, op: u8, n: u32) {
    body.push(op);
    number(body, n % LOCALS + 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::COMPONENT;
    use wasmparser::{Payload, Validator};

    #[test]
    fn copies_differ_and_are_valid() {
        for wasm in [MODULE, COMPONENT] {
            let (one, two) = (distinct(wasm, 1), distinct(wasm, 300));
            assert_ne!(one, two);
            Validator::new().validate_all(&one).unwrap();
            Validator::new().validate_all(&two).unwrap();
        }
    }

    #[test]
    fn a_huge_component_is_valid_and_has_its_functions() {
        let huge = huge_component(64);
        Validator::new().validate_all(&huge).unwrap();
        let bodies = wasmparser::Parser::new(0)
            .parse_all(&huge)
            .filter(|payload| matches!(payload, Ok(Payload::CodeSectionEntry(_))))
            .count();
        // One is the handler's own.
        assert_eq!(bodies, 65);
    }
}
