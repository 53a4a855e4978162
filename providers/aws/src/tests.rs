//! Whole histories against the strict AWS in memory.

mod bad_input;
mod cases;
mod changes;
mod crash;
mod model;
mod network;
mod recordings;
mod trouble;
pub(crate) mod world;
