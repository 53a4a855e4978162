//! Calls that change nothing, with all their pages.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, TargetGroup};
use herald_aws::{Call, Failure, Reply};

use super::{Elb, shape};
use crate::{
    client::{all_known, known, misplaced, turn_page},
    failure::failure,
};

/// AWS takes so many ARNs in a call.
const AT_ONCE: usize = 20;
/// And gives so many objects on a page.
const PAGE: i32 = 400;

/// Which of them.
enum Of {
    Arns(Vec<String>),
    Name(String),
    All,
}

impl Elb {
    pub(crate) async fn read(&self, call: Call) -> Result<Reply, Failure> {
        match call {
            Call::DescribeBalancers(ids) => self.balancers(Of::Arns(all_known(ids)?)).await,
            Call::DescribeBalancerNamed(name) => self.balancers(Of::Name(name)).await,
            Call::DescribeAllBalancers => self.balancers(Of::All).await,
            Call::DescribeGroups(ids) => self.groups(Of::Arns(all_known(ids)?)).await,
            Call::DescribeGroupNamed(name) => self.groups(Of::Name(name)).await,
            Call::DescribeAllGroups => self.groups(Of::All).await,
            Call::DescribeListeners(id) => self.listeners(known(id)?).await,
            Call::DescribeListenerCertificates(id) => self.certificates(known(id)?).await,
            Call::DescribeTags(ids) => self.tags(all_known(ids)?).await,
            Call::DescribeTargetHealth(id) => self.targets(known(id)?).await,
            Call::DescribeBalancerAttributes(_)
            | Call::DescribeListenerAttributes(_)
            | Call::DescribeGroupAttributes(_) => self.attributes(call).await,
            _ => Err(misplaced(&call)),
        }
    }

    async fn balancers(&self, of: Of) -> Result<Reply, Failure> {
        let mut found = Vec::new();
        let all = matches!(of, Of::All);
        for (arns, name) in questions(of) {
            found.extend(self.load_balancers(arns, name).await?);
        }
        let wanted = |read: &LoadBalancer| !all || shape::is_network(read);
        let found = found.into_iter().filter(wanted);
        Ok(Reply::Balancers(
            found.filter_map(shape::balancer).collect(),
        ))
    }

    async fn load_balancers(
        &self,
        arns: Option<Vec<String>>,
        name: Option<String>,
    ) -> Result<Vec<LoadBalancer>, Failure> {
        let size = (arns.is_none() && name.is_none()).then_some(PAGE);
        let names = name.map(|name| vec![name]);
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            self.read_turn().await?;
            let request = self.sdk.describe_load_balancers();
            let page = request
                .set_load_balancer_arns(arns.clone())
                .set_names(names.clone())
                .set_page_size(size)
                .set_marker(marker.clone())
                .send()
                .await
                .map_err(failure)?;
            found.extend(page.load_balancers.unwrap_or_default());
            if !turn_page(&mut marker, page.next_marker)? {
                return Ok(found);
            }
        }
    }

    async fn groups(&self, of: Of) -> Result<Reply, Failure> {
        let mut found = Vec::new();
        for (arns, name) in questions(of) {
            found.extend(self.target_groups(arns, name).await?);
        }
        Ok(Reply::Groups(
            found.into_iter().filter_map(shape::group).collect(),
        ))
    }

    async fn target_groups(
        &self,
        arns: Option<Vec<String>>,
        name: Option<String>,
    ) -> Result<Vec<TargetGroup>, Failure> {
        let size = (arns.is_none() && name.is_none()).then_some(PAGE);
        let names = name.map(|name| vec![name]);
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            self.read_turn().await?;
            let request = self.sdk.describe_target_groups();
            let page = request
                .set_target_group_arns(arns.clone())
                .set_names(names.clone())
                .set_page_size(size)
                .set_marker(marker.clone())
                .send()
                .await
                .map_err(failure)?;
            found.extend(page.target_groups.unwrap_or_default());
            if !turn_page(&mut marker, page.next_marker)? {
                return Ok(found);
            }
        }
    }

    async fn listeners(&self, balancer: String) -> Result<Reply, Failure> {
        let mut found: Vec<Listener> = Vec::new();
        let mut marker = None;
        loop {
            self.read_turn().await?;
            let request = self.sdk.describe_listeners().load_balancer_arn(&balancer);
            let page = request
                .set_marker(marker.clone())
                .send()
                .await
                .map_err(failure)?;
            found.extend(page.listeners.unwrap_or_default());
            if !turn_page(&mut marker, page.next_marker)? {
                break;
            }
        }
        Ok(Reply::Listeners(
            found.into_iter().filter_map(shape::listener).collect(),
        ))
    }

    async fn certificates(&self, listener: String) -> Result<Reply, Failure> {
        let mut found = BTreeSet::new();
        let mut marker = None;
        loop {
            self.read_turn().await?;
            let request = self.sdk.describe_listener_certificates();
            let page = request
                .listener_arn(&listener)
                .set_marker(marker.clone())
                .send()
                .await
                .map_err(failure)?;
            let others = page.certificates.unwrap_or_default().into_iter();
            let others = others.filter(|certificate| certificate.is_default != Some(true));
            found.extend(others.filter_map(|certificate| certificate.certificate_arn));
            if !turn_page(&mut marker, page.next_marker)? {
                return Ok(Reply::Certificates(found));
            }
        }
    }

    async fn tags(&self, arns: Vec<String>) -> Result<Reply, Failure> {
        let mut found = BTreeMap::new();
        for chunk in arns.chunks(AT_ONCE) {
            self.read_turn().await?;
            let request = self.sdk.describe_tags();
            let answer = request
                .set_resource_arns(Some(chunk.to_vec()))
                .send()
                .await
                .map_err(failure)?;
            let described = answer.tag_descriptions.unwrap_or_default().into_iter();
            found.extend(described.filter_map(|it| {
                Some((it.resource_arn?, shape::tags(it.tags.unwrap_or_default())))
            }));
        }
        Ok(Reply::Tags(found))
    }

    async fn targets(&self, group: String) -> Result<Reply, Failure> {
        self.read_turn().await?;
        let request = self.sdk.describe_target_health().target_group_arn(group);
        let answer = request.send().await.map_err(failure)?;
        let described = answer.target_health_descriptions.unwrap_or_default();
        Ok(Reply::Targets(
            described.into_iter().filter_map(shape::target).collect(),
        ))
    }

    async fn attributes(&self, call: Call) -> Result<Reply, Failure> {
        self.read_turn().await?;
        let pairs: Vec<(Option<String>, Option<String>)> = match call {
            Call::DescribeBalancerAttributes(id) => {
                let request = self.sdk.describe_load_balancer_attributes();
                let answer = request
                    .load_balancer_arn(known(id)?)
                    .send()
                    .await
                    .map_err(failure)?;
                let all = answer.attributes.unwrap_or_default().into_iter();
                all.map(|it| (it.key, it.value)).collect()
            }
            Call::DescribeListenerAttributes(id) => {
                let request = self.sdk.describe_listener_attributes();
                let answer = request
                    .listener_arn(known(id)?)
                    .send()
                    .await
                    .map_err(failure)?;
                let all = answer.attributes.unwrap_or_default().into_iter();
                all.map(|it| (it.key, it.value)).collect()
            }
            Call::DescribeGroupAttributes(id) => {
                let request = self.sdk.describe_target_group_attributes();
                let answer = request
                    .target_group_arn(known(id)?)
                    .send()
                    .await
                    .map_err(failure)?;
                let all = answer.attributes.unwrap_or_default().into_iter();
                all.map(|it| (it.key, it.value)).collect()
            }
            _ => return Err(misplaced(&call)),
        };
        let pairs = pairs.into_iter();
        Ok(Reply::Attributes(
            pairs
                .filter_map(|(key, value)| Some((key?, value.unwrap_or_default())))
                .collect(),
        ))
    }
}

/// What goes into each request: ARNs, as many as fit, or a name, or nothing.
fn questions(of: Of) -> Vec<(Option<Vec<String>>, Option<String>)> {
    match of {
        Of::Arns(arns) => arns
            .chunks(AT_ONCE)
            .map(|chunk| (Some(chunk.to_vec()), None))
            .collect(),
        Of::Name(name) => vec![(None, Some(name))],
        Of::All => vec![(None, None)],
    }
}
