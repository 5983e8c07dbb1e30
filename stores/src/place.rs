//! Whether a server is where the data of a class is.
//!
//! A binding of an app to its data is for ever, and a URL leads anywhere: to another server, to another database of it,
//! to one that was made anew and is empty. So each place that holds data, a database under one prefix, carries a
//! random id: made once by whoever looks after a class of which none is recorded, and copied with the data by a dump.
//! The operator records the first that it hears of, and tells it with the class from then on. A backend that was told
//! one refuses every call where it finds another or none, and makes nothing there.

use std::{
    fmt,
    num::NonZeroU64,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use uuid::Uuid;

use crate::{Health, KeyValueError, Reason};

/// Digits of an id.
const DIGITS: usize = 16;

/// The id of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceId(NonZeroU64);

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a place has {DIGITS} hexadecimal digits")]
pub struct InvalidPlaceId;

impl PlaceId {
    /// Of no place that there is.
    const NOWHERE: Self = Self(NonZeroU64::MAX);

    /// A fresh one. As a number it fits into a `bigint` of databases.
    pub(crate) fn random() -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        // Each half has a few bits that are always the same, in other positions.
        Self::from_bits((high ^ low) >> 1).unwrap_or(Self(NonZeroU64::MIN))
    }

    /// What is recorded of a class. A text of a form that only a later version knows is the id of no place: what is
    /// there is not taken for it.
    pub(crate) fn recorded(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.parse().unwrap_or(Self::NOWHERE))
    }

    fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// From the number that a database holds.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::from_bits(u64::try_from(number).ok()?)
    }

    /// As a database holds it.
    pub(crate) fn number(self) -> i64 {
        i64::try_from(self.0.get()).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

impl FromStr for PlaceId {
    type Err = InvalidPlaceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != DIGITS || !text.bytes().all(is_digit) {
            return Err(InvalidPlaceId);
        }
        let bits = u64::from_str_radix(text, 16).map_err(|_| InvalidPlaceId)?;
        Self::from_bits(bits).ok_or(InvalidPlaceId)
    }
}

/// What is known of where the data of a class is.
pub(crate) struct Home {
    recorded: AtomicU64,
    found: AtomicU64,
}

impl Home {
    pub(crate) fn new(recorded: Option<PlaceId>) -> Self {
        Self {
            recorded: AtomicU64::new(bits(recorded)),
            found: AtomicU64::new(0),
        }
    }

    /// This is recorded from now on; `None`: nothing, and nothing is refused.
    pub(crate) fn record(&self, place: Option<PlaceId>) {
        self.recorded.store(bits(place), Ordering::Relaxed);
    }

    /// Where the data has to be.
    pub(crate) fn recorded(&self) -> Option<PlaceId> {
        PlaceId::from_bits(self.recorded.load(Ordering::Relaxed))
    }

    /// What a server was found to be.
    pub(crate) fn find(&self, place: Option<PlaceId>) {
        self.found.store(bits(place), Ordering::Relaxed);
    }

    /// What was found, to be recorded, while nothing is.
    pub(crate) fn unrecorded(&self) -> Option<PlaceId> {
        let found = PlaceId::from_bits(self.found.load(Ordering::Relaxed));
        found.filter(|_| self.recorded().is_none())
    }

    /// Whether the data is where this was `found`.
    pub(crate) fn check(&self, found: Option<PlaceId>) -> Result<(), Misplaced> {
        match self.recorded() {
            Some(recorded) if found != Some(recorded) => Err(Misplaced { recorded, found }),
            _ => Ok(()),
        }
    }
}

fn bits(place: Option<PlaceId>) -> u64 {
    place.map_or(0, |PlaceId(bits)| bits.get())
}

/// The data is in another place than a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misplaced {
    recorded: PlaceId,
    /// `None`: it is no place of any data yet, or not any more.
    found: Option<PlaceId>,
}

const ELSEWHERE: &str = "its data is in place ";
const ADVICE: &str = "have the Secret of the StoreClass name the server and database that hold it, or bring the data back \
     there. If it was moved or given up on purpose, clear the record: kubectl patch storeclass NAME \
     --subresource=status --type=merge -p '{\"status\":{\"place\":null}}'";

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ELSEWHERE}{}, and this server holds ", self.recorded)?;
        match self.found {
            Some(found) => write!(f, "place {found}"),
            None => f.write_str("none"),
        }
    }
}

impl From<Misplaced> for KeyValueError {
    fn from(misplaced: Misplaced) -> Self {
        Self::Unavailable(misplaced.to_string())
    }
}

/// How a class does whose calls fail with `error`, if they do because its data is elsewhere.
pub(crate) fn health(error: &KeyValueError) -> Option<Health> {
    match error {
        KeyValueError::Unavailable(why) if why.starts_with(ELSEWHERE) => Some(Health::failing(
            Reason::InvalidConfiguration,
            format!("{why}: {ADVICE}"),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_comes_back_from_a_database() {
        for _ in 0..1000 {
            let id = PlaceId::random();
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(PlaceId::from_number(id.number()), Some(id));
        }
        let small: PlaceId = "000000000000000a".parse().unwrap();
        assert_eq!(small.to_string(), "000000000000000a");
        for bad in [
            "",
            "a",
            "0000000000000000",
            "000000000000000A",
            "+00000000000000a",
            "000000000000000ab",
        ] {
            assert_eq!(bad.parse::<PlaceId>(), Err(InvalidPlaceId), "{bad}");
        }
        assert_eq!(PlaceId::from_number(0), None);
        assert_eq!(PlaceId::from_number(-1), None);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_fulfilled_by_nothing() {
        assert_eq!(PlaceId::recorded(""), None);
        let home = Home::new(PlaceId::recorded("of a later version"));
        assert!(home.check(None).is_err());
        assert!(home.check(Some(PlaceId::random())).is_err());
    }

    #[test]
    fn what_is_found_is_told_until_it_is_recorded_and_then_holds() {
        let (home, here) = (Home::new(None), PlaceId::random());
        assert_eq!((home.unrecorded(), home.check(None)), (None, Ok(())));
        home.find(Some(here));
        assert_eq!(home.unrecorded(), Some(here));
        home.record(Some(here));
        assert_eq!((home.unrecorded(), home.check(Some(here))), (None, Ok(())));
        let error: KeyValueError = home.check(None).unwrap_err().into();
        let Some(Health::Failing { reason, message }) = health(&error) else {
            panic!("{error}");
        };
        assert_eq!(reason, Reason::InvalidConfiguration);
        let says = format!("its data is in place {here}, and this server holds none: ");
        assert!(message.starts_with(&says), "{message}");
        home.record(None);
        assert_eq!((home.unrecorded(), home.check(None)), (Some(here), Ok(())));
    }
}
