//! ELBv2, by its SDK.

mod fields;
mod read;
mod shape;
mod write;

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::{Client, config::Builder};
use herald_aws::Failure;

use crate::{
    observer::Counting,
    pace::{Lane, Pace},
};

/// The balancers of a region.
#[derive(Debug)]
pub(crate) struct Elb {
    sdk: Client,
    pace: Arc<Pace>,
}

impl Elb {
    pub(crate) fn new(config: &SdkConfig, counting: Counting, pace: Arc<Pace>) -> Self {
        let config = Builder::from(config).interceptor(counting).build();
        Self {
            sdk: Client::from_conf(config),
            pace,
        }
    }

    async fn read_turn(&self) -> Result<(), Failure> {
        self.pace.turn(Lane::ElbRead).await
    }
}
