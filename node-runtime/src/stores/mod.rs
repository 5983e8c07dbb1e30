//! Classes of stores on this node: where each has its data, within which bounds, and how it does.
//!
//! An assignment binds a label to a Store's id and a class's name. The class is looked up at each call,
//! so that whatever changes about it (credentials, limits) holds from the next call on and needs no
//! other assignment. One class is one set of connections, shared by all apps of the node.

mod backend;
mod class;
mod classes;
mod counts;
mod description;
mod health;
mod notices;
mod rates;

pub(crate) use self::{
    class::{Class, Operation, Outcome},
    notices::Notices,
};
pub use self::{
    classes::StoreClasses,
    description::{ClassBackend, ClassDescription},
    health::{ClassFault, ClassHealth, Standing},
    notices::Notice,
};
