//! Whole histories against the strict AWS in memory.

mod bad_input;
mod cases;
mod changes;
mod crash;
mod model;
mod recordings;
mod trouble;
pub(crate) mod world;
