//! `trim`, `ltrim`, `rtrim` and `unhex`, which take a set of characters.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
    ffi::CStr,
};

use super::{Argument, Bounds, Function, Output, Stop};

/// Bytes that the characters may have which are trimmed or passed over.
const MOST_CHARACTERS: usize = 64 << 10;
/// Characters between two looks at the clock.
const STEPS: usize = 4096;

fn bounded(characters: &[u8]) -> Result<&[u8], Stop> {
    let bytes = characters.len();
    if bytes > MOST_CHARACTERS {
        return Err(Stop::Refused(format!(
            "the second argument of trim() or unhex() has {bytes} bytes, which is more than the limit of {MOST_CHARACTERS}"
        )));
    }
    Ok(characters)
}

/// Characters to trim, as SQLite takes a text apart: whatever is in it, each has a place.
struct Set<'a> {
    /// With its place: where two begin alike, the first counts.
    places: HashMap<&'a [u8], usize>,
    lengths: BTreeSet<usize>,
}

impl<'a> Set<'a> {
    fn of(text: &'a [u8]) -> Self {
        // To SQLite it ends with its first NUL.
        let mut text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut set = Self {
            places: HashMap::new(),
            lengths: BTreeSet::new(),
        };
        while let Some(first) = text.first() {
            let mut length = 1;
            if *first >= 0xC0 {
                let more = text.iter().skip(1);
                length += more.take_while(|byte| **byte & 0xC0 == 0x80).count();
            }
            let (character, rest) = text.split_at(length);
            let place = set.places.len();
            set.places.entry(character).or_insert(place);
            set.lengths.insert(length);
            text = rest;
        }
        set
    }

    /// Bytes of the character of this set that `part` gives of its length; the one of the first place.
    fn found<'t>(&self, part: impl Fn(usize) -> Option<&'t [u8]>) -> Option<usize> {
        let fitting = self.lengths.iter().filter_map(|length| {
            let place = self.places.get(part(*length)?)?;
            Some((place, *length))
        });
        fitting.min().map(|(_, length)| length)
    }

    fn trimmed<'t>(
        &self,
        mut text: &'t [u8],
        left: bool,
        right: bool,
        bounds: &Bounds<'_>,
    ) -> Result<&'t [u8], Stop> {
        let mut steps = 0_usize;
        let mut tick = || -> Result<(), Stop> {
            steps += 1;
            if steps.is_multiple_of(STEPS) {
                bounds.check_time()?;
            }
            Ok(())
        };
        while left && let Some(length) = self.found(|length| text.get(..length)) {
            text = text.get(length..).unwrap_or_default();
            tick()?;
        }
        let end = |text: &'t [u8], length| text.get(text.len().checked_sub(length)?..);
        while right && let Some(length) = self.found(|length| end(text, length)) {
            text = text.get(..text.len() - length).unwrap_or_default();
            tick()?;
        }
        Ok(text)
    }
}

fn trim<'a>(
    arguments: &[Argument<'a>],
    left: bool,
    right: bool,
    bounds: &Bounds<'_>,
) -> Result<Output<'a>, Stop> {
    let Some(text) = arguments.first().and_then(|text| text.bytes) else {
        return Ok(Output::Null);
    };
    let characters = match arguments.get(1) {
        None => b" ",
        Some(Argument { bytes: None, .. }) => return Ok(Output::Null),
        Some(Argument {
            bytes: Some(set), ..
        }) => bounded(set)?,
    };
    let trimmed = Set::of(characters).trimmed(text, left, right, bounds)?;
    Ok(Output::Text(Cow::Borrowed(trimmed)))
}

/// A function of [`trim`]'s kind.
macro_rules! trims {
    ($type:ident, $name:literal, $left:literal, $right:literal) => {
        pub(super) struct $type;

        impl Function for $type {
            const NAME: &'static CStr = $name;
            const COUNTS: &'static [i32] = &[1, 2];

            fn call<'a>(
                arguments: &[Argument<'a>],
                bounds: &Bounds<'_>,
            ) -> Result<Output<'a>, Stop> {
                trim(arguments, $left, $right, bounds)
            }
        }
    };
}

trims!(Trim, c"trim", true, true);
trims!(LeftTrim, c"ltrim", true, false);
trims!(RightTrim, c"rtrim", false, true);

pub(super) struct Unhex;

impl Function for Unhex {
    const NAME: &'static CStr = c"unhex";
    const COUNTS: &'static [i32] = &[1, 2];

    fn call<'a>(arguments: &[Argument<'a>], bounds: &Bounds<'_>) -> Result<Output<'a>, Stop> {
        let Some(text) = arguments.first().and_then(|text| text.bytes) else {
            return Ok(Output::Null);
        };
        let passed = match arguments.get(1) {
            None => &[],
            Some(Argument { bytes: None, .. }) => return Ok(Output::Null),
            Some(Argument {
                bytes: Some(set), ..
            }) => bounded(set)?,
        };
        let found = unhex(text, passed, bounds)?;
        Ok(found.map_or(Output::Null, Output::Blob))
    }
}

/// `None`: the text is none of pairs of digits with characters of `passed` between them.
fn unhex(mut text: &[u8], mut passed: &[u8], bounds: &Bounds<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let mut characters = HashSet::new();
    while let Some(character) = read(&mut passed) {
        characters.insert(character);
    }
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut steps = 0_usize;
    while let Some(first) = text.first().copied().filter(|first| *first != 0) {
        steps += 1;
        if steps.is_multiple_of(STEPS) {
            bounds.check_time()?;
        }
        let Some(high) = digit(first) else {
            match read(&mut text).filter(|character| characters.contains(character)) {
                Some(_) => continue,
                None => return Ok(None),
            }
        };
        let Some(low) = text.get(1).copied().and_then(digit) else {
            return Ok(None);
        };
        bytes.push(high << 4 | low);
        text = text.get(2..).unwrap_or_default();
    }
    Ok(Some(bytes))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// The next character, as SQLite reads what may not be UTF-8.
fn read(text: &mut &[u8]) -> Option<u32> {
    let (first, mut rest) = text.split_first()?;
    let mut character = u32::from(*first);
    if *first >= 0xC0 {
        // The bits that the lead byte has for its character.
        let mask = match first {
            0xC0..=0xDF => 0x1F,
            0xE0..=0xEF => 0x0F,
            0xF0..=0xF7 => 0x07,
            0xF8..=0xFB => 0x03,
            0xFC | 0xFD => 0x01,
            _ => 0,
        };
        character &= mask;
        while let Some((next, after)) = rest.split_first()
            && next & 0xC0 == 0x80
        {
            character = (character << 6).wrapping_add(u32::from(next & 0x3F));
            rest = after;
        }
        if character < 0x80
            || character & 0xFFFF_F800 == 0xD800
            || character & 0xFFFF_FFFE == 0xFFFE
        {
            character = 0xFFFD;
        }
    }
    *text = rest;
    Some(character)
}
