//! What runtimes, builder and store hear from the operator without asking.

mod absence;
mod classes;
pub mod control;
pub(crate) mod convert;
pub mod grants;
pub mod hub;
mod pace;
mod probe;
mod session;
pub mod silence;
