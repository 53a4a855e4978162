//! What the cloud's part needs of AWS.

use futures::future::BoxFuture;
use herald_aws::{Call, Executor, Failure, Reply};

/// AWS, or what stands in for it, chosen when the controller starts.
pub trait Aws: Send + Sync + 'static {
    /// Makes a call, and comes back in bounded time.
    fn execute(&self, call: Call) -> BoxFuture<'_, Result<Reply, Failure>>;
}

impl<T: Executor> Aws for T {
    fn execute(&self, call: Call) -> BoxFuture<'_, Result<Reply, Failure>> {
        Box::pin(Executor::execute(self, call))
    }
}
