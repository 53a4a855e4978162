//! The seam between what is decided here and whoever talks to AWS.

use std::future::Future;

use crate::{
    call::{Call, Reply},
    failure::Failure,
};

/// Who carries calls to AWS and brings the answers.
pub trait Executor: Send + Sync + 'static {
    /// Makes a call that names only known objects (see [`Call::resolve`]), follows the pages of its answer, and comes back
    /// in bounded time.
    fn execute(&self, call: Call) -> impl Future<Output = Result<Reply, Failure>> + Send;
}
