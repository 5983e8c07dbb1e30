//! `App.status`: what it is to say, and when it is worth a write.

mod cadence;
mod conditions;
mod facts;
mod verdict;

pub(crate) use cadence::write;
pub(crate) use facts::{Facts, NodeFact, Served, assemble};
pub(crate) use verdict::{Verdict, time};
