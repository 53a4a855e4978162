//! The executor: one call after the other, to the API that it belongs to.

use std::sync::Arc;

use aws_config::{ConfigLoader, Region};
use herald_aws::{Call, Executor, Failure, Id, Reply};

use crate::{
    ec2::Ec2,
    elb::Elb,
    observer::{Counting, Observer},
    pace::{Lane, Pace},
};

/// A region of AWS.
#[derive(Debug)]
pub struct Client {
    region: String,
    elb: Elb,
    ec2: Ec2,
}

/// Why there is no way to AWS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither the caller nor the chain says which region.
    #[error("no region: set AWS_REGION, or let the nodes' labels or providerIDs tell it")]
    NoRegion,
}

impl Client {
    /// Resolves region and endpoints; credentials are fetched with the first call. `region` wins over the chain.
    ///
    /// ```no_run
    /// # use herald_aws_client::{Client, Observer, defaults};
    /// # async fn connect(metrics: std::sync::Arc<dyn Observer>) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::connect(defaults(), Some("eu-west-1"), metrics).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Nobody says which region.
    pub async fn connect(
        mut loader: ConfigLoader,
        region: Option<&str>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConnectError> {
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        let pace = Arc::new(Pace::new());
        let counting = Counting::new(observer, Arc::clone(&pace));
        Ok(Self {
            elb: Elb::new(&config, counting.clone(), Arc::clone(&pace)),
            ec2: Ec2::new(&config, &region, counting, pace),
            region,
        })
    }

    /// A call to EC2 that no controller makes, and for which `herald-aws` has no word: for whoever sets up a region to try
    /// things in. Gives the texts of all elements of that name in the answer; pages are not followed.
    ///
    /// # Errors
    /// As AWS refuses it, or that no answer came.
    pub async fn ask_ec2(
        &self,
        action: &'static str,
        fields: &[(&str, &str)],
        element: &str,
    ) -> Result<Vec<String>, Failure> {
        self.ec2.ask(action, fields, element).await
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }
}

impl Executor for Client {
    async fn execute(&self, call: Call) -> Result<Reply, Failure> {
        let (family, action) = call.action();
        let lane = Lane::of(family, call.is_read());
        match lane {
            Lane::ElbRead => self.elb.read(call).await,
            Lane::ElbWrite => self.elb.write(call).await,
            Lane::Ec2Read | Lane::Ec2Write => self.ec2.make(call, action, lane).await,
        }
    }
}

/// What AWS calls an object that is made.
pub(crate) fn known(id: Id) -> Result<String, Failure> {
    match id {
        Id::Known(id) => Ok(id),
        Id::Made(name) => Err(Failure::new(
            "ValidationError",
            format!("{name} is not made yet"),
        )),
    }
}

pub(crate) fn all_known(ids: Vec<Id>) -> Result<Vec<String>, Failure> {
    ids.into_iter().map(known).collect()
}

/// A call that came to the wrong place.
pub(crate) fn misplaced(call: &Call) -> Failure {
    Failure::new("InvalidAction", call.to_string())
}

/// Goes on to the next page, if there is one.
pub(crate) fn turn_page(
    marker: &mut Option<String>,
    next: Option<String>,
) -> Result<bool, Failure> {
    let next = next.filter(|next| !next.is_empty());
    if next.is_some() && *marker == next {
        return Err(Failure::new(
            Failure::NO_ANSWER,
            "the next page is the same page again",
        ));
    }
    *marker = next;
    Ok(marker.is_some())
}
