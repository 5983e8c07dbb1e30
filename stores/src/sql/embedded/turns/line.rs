//! The line of one Store: calls that wait, and the connections on which they may run.

use std::{collections::VecDeque, time::Instant};

use crate::sql::SessionId;

/// Where a connection belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Place(u64);

impl Place {
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// The calls of one Store that wait, and its connections.
pub(super) struct Line<C, J> {
    pub(super) waiting: VecDeque<(J, /* it writes */ bool)>,
    pub(super) slots: Vec<Slot<C>>,
    /// The session that writes, or has a transaction.
    pub(super) writer: Option<SessionId>,
}

/// One connection, or where one is being opened.
pub(super) struct Slot<C> {
    pub(super) place: Place,
    pub(super) session: Option<SessionId>,
    /// `None`: it is in use.
    pub(super) connection: Option<C>,
    pub(super) transaction: Option<Instant>,
    /// Its session was closed while it was in use.
    pub(super) abandoned: bool,
    /// It is still being opened. One at a time is: the first makes the file.
    pub(super) opening: bool,
    pub(super) used: Instant,
}

impl<C, J> Default for Line<C, J> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            slots: Vec::new(),
            writer: None,
        }
    }
}

impl<C> Slot<C> {
    pub(super) fn is_idle(&self) -> bool {
        self.connection.is_some() && self.transaction.is_none()
    }
}

impl<C, J> Line<C, J> {
    pub(super) fn running(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.connection.is_none())
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.slots.is_empty()
    }

    pub(super) fn slot(&mut self, place: Place) -> Option<&mut Slot<C>> {
        self.slots.iter_mut().find(|slot| slot.place == place)
    }

    /// Where a call of `session` may run now.
    pub(super) fn place_for(&self, session: SessionId, writes: bool, may_open: bool) -> Where {
        if writes && self.writer.is_some_and(|writer| writer != session) {
            return Where::Nowhere;
        }
        let own = self
            .slots
            .iter()
            .position(|slot| slot.session == Some(session));
        if let Some(own) = own {
            let free = self
                .slots
                .get(own)
                .is_some_and(|slot| slot.connection.is_some());
            return if free {
                Where::Slot(own)
            } else {
                Where::Nowhere
            };
        }
        if may_open {
            return Where::New;
        }
        let idle = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_idle());
        let oldest = idle.min_by_key(|(_, slot)| (slot.session.is_some(), slot.used));
        oldest.map_or(Where::Nowhere, |(at, _)| Where::Slot(at))
    }
}

/// Where a call may run.
pub(super) enum Where {
    Slot(usize),
    New,
    Nowhere,
}
