//! `instr` and `replace`.

use std::{borrow::Cow, ffi::CStr};

use memchr::memmem;

use super::{Argument, Bounds, Function, Output, Stop};

pub(super) struct Instr;

impl Function for Instr {
    const NAME: &'static CStr = c"instr";
    const COUNTS: &'static [i32] = &[2];

    fn call<'a>(arguments: &[Argument<'a>], _: &Bounds<'_>) -> Result<Output<'a>, Stop> {
        let [inside, of] = arguments else {
            return Ok(Output::Null);
        };
        let (Some(text), Some(sought)) = (inside.bytes, of.bytes) else {
            return Ok(Output::Null);
        };
        let place = match inside.is_blob && of.is_blob {
            true => memmem::find(text, sought).map(|at| at + 1),
            false => character(text, sought),
        };
        Ok(Output::Integer(place.unwrap_or(0) as i64))
    }
}

/// Which character of `text` is the first of `sought`, counted from 1.
fn character(text: &[u8], sought: &[u8]) -> Option<usize> {
    if sought.first().copied().is_some_and(is_continuation) {
        // Only the text's own first byte is taken for a character whatever it is.
        return text.starts_with(sought).then_some(1);
    }
    let at = memmem::find(text, sought)?;
    let begun = text.get(1..=at).unwrap_or_default().iter();
    Some(1 + begun.filter(|byte| !is_continuation(**byte)).count())
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

pub(super) struct Replace;

impl Function for Replace {
    const NAME: &'static CStr = c"replace";
    const COUNTS: &'static [i32] = &[3];

    fn call<'a>(arguments: &[Argument<'a>], bounds: &Bounds<'_>) -> Result<Output<'a>, Stop> {
        let [text, pattern, by] = arguments else {
            return Ok(Output::Null);
        };
        let (Some(text), Some(pattern)) = (text.bytes, pattern.bytes) else {
            return Ok(Output::Null);
        };
        if matches!(pattern.first(), None | Some(0)) {
            return Ok(Output::Text(Cow::Borrowed(text)));
        }
        let Some(by) = by.bytes else {
            return Ok(Output::Null);
        };
        replaced(text, pattern, by, bounds.length).map(|text| Output::Text(Cow::Owned(text)))
    }
}

fn replaced(text: &[u8], pattern: &[u8], by: &[u8], most: usize) -> Result<Vec<u8>, Stop> {
    let mut result = Vec::with_capacity(text.len());
    let mut done = 0;
    for at in memmem::find_iter(text, pattern) {
        let between = text.get(done..at).unwrap_or_default();
        if result.len() + between.len() + by.len() > most {
            return Err(Stop::TooBig);
        }
        result.extend_from_slice(between);
        result.extend_from_slice(by);
        done = at + pattern.len();
    }
    result.extend_from_slice(text.get(done..).unwrap_or_default());
    match result.len() > most {
        true => Err(Stop::TooBig),
        false => Ok(result),
    }
}
