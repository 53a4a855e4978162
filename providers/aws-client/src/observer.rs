//! Hears of every attempt, those that are tried again included: what AWS refuses for being too many shows here and nowhere
//! else. It slows the next ones down, and somebody may count them.

use std::{fmt, sync::Arc};

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::FinalizerInterceptorContextRef},
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use herald_aws::Failure;

use crate::{
    failure::code_in,
    pace::{Lane, Pace},
};

/// Who counts attempts, for metrics.
pub trait Observer: Send + Sync + 'static {
    /// An attempt ended: the operation as AWS calls it, and `OK` or the code of the failure.
    fn attempted(&self, operation: &str, code: &str);
}

/// Sits in every client.
#[derive(Clone)]
pub(crate) struct Counting {
    observer: Arc<dyn Observer>,
    pace: Arc<Pace>,
}

impl Counting {
    pub(crate) fn new(observer: Arc<dyn Observer>, pace: Arc<Pace>) -> Self {
        Self { observer, pace }
    }
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "Counting"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let metadata = config.load::<Metadata>();
        let operation = metadata.map_or("", Metadata::name);
        let code = match (context.output_or_error(), context.response()) {
            (Some(Ok(_)), _) => "OK".to_owned(),
            (_, Some(response)) => {
                let body = response.body().bytes().unwrap_or_default();
                code_in(body).unwrap_or_else(|| Failure::NO_ANSWER.to_owned())
            }
            (_, None) => Failure::NO_ANSWER.to_owned(),
        };
        if THROTTLING_ERRORS.contains(&code.as_str()) {
            let family = metadata.map_or("", Metadata::service);
            let lane = Lane::of(family, operation.starts_with("Describe"));
            self.pace.complain(lane);
        }
        self.observer.attempted(operation, &code);
        Ok(())
    }
}
