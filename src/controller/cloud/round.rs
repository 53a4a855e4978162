//! One look at AWS for one Service, the plan that comes of it, and its calls. Shared by the controller and the CLI.

use std::sync::Arc;

use herald_aws::{
    Apply, Discovery, Endpoint, Input, Inventory, Look, Memory, Moment, Network, Node, Observed,
    Outcome, Owner, Plan, Refusal, Settings, Site, Survey, TargetType, Verdict, Wanted, desired,
    held, plan,
};
use tracing::debug;

use super::{Aws, Clock};

/// What a user wants the balancer to be called.
const NAME: &str = "service.beta.kubernetes.io/aws-load-balancer-name";

/// What is to be reached.
#[derive(Clone, Debug)]
pub enum Goal {
    /// The Service is served.
    Serve(Arc<Scene>),
    /// Nothing is left of it.
    Gone,
}

/// Everything that decides what a Service shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The Service.
    pub service: herald_aws::Service,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The nodes.
    pub nodes: Arc<Vec<Node>>,
    /// The VPC.
    pub network: Arc<Network>,
    /// What is wrong with the request already, so that nothing but targets may change.
    pub refused: Option<String>,
    /// Whether the status may show another controller's balancer, until there is one of Herald's.
    pub adopts: bool,
}

/// What was seen, and what follows.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What there is.
    pub observed: Observed,
    /// The hostname in the status, if it is that of a balancer of Herald's.
    pub published: Option<String>,
    /// What to do.
    pub plan: Plan,
    /// What is served in another way than one may think.
    pub warnings: Vec<Refusal>,
    /// Whether traffic comes in, or is to come in, through node ports.
    pub on_nodes: bool,
    /// Ports that are not served, and why.
    pub refused: std::collections::BTreeMap<u16, Refusal>,
}

/// Reads what there is, and plans. `published` is the hostname that the status shows, if that is Herald's.
///
/// # Errors
/// The read that failed: nothing is planned on half a view.
pub async fn look(
    aws: &dyn Aws,
    owner: &Owner,
    goal: &Goal,
    published: Option<&str>,
    settings: &Settings,
    memory: &mut Memory,
    now: Moment,
) -> Result<Seen, Verdict> {
    let mut look = match goal {
        Goal::Serve(scene) => {
            let name = scene.service.annotations.get(NAME);
            Look::new(owner.clone(), name.map(|name| name.trim()), memory, now)
        }
        Goal::Gone => Look::for_deletion(owner.clone(), memory, now),
    };
    while let Some(call) = look.next_call(memory) {
        let answer = aws.execute(call).await;
        look.take(answer, memory);
    }
    let observed = look.finish(memory)?;
    let is_heralds = |hostname: &&str| {
        let mut balancers = observed.balancers.iter();
        balancers.any(|balancer| balancer.read.dns_name == *hostname)
    };
    let published = published.filter(|hostname| match goal {
        Goal::Serve(scene) if scene.adopts => is_heralds(hostname),
        _ => true,
    });
    let wanted = match goal {
        Goal::Gone => Wanted::Gone(owner.clone()),
        Goal::Serve(scene) => scene.wanted(settings, &observed, published),
    };
    let plan = plan(&wanted, &observed, published, now);
    let through_nodes = observed
        .groups
        .iter()
        .any(|group| group.read.kind.target_type == TargetType::Instance);
    let mut seen = Seen {
        published: published.map(str::to_owned),
        observed,
        plan,
        on_nodes: through_nodes,
        ..Seen::default()
    };
    if let Wanted::Served(desired) = wanted {
        let mut ports = desired.ports.values();
        seen.on_nodes |= ports.any(|port| port.kind.target_type == TargetType::Instance);
        seen.on_nodes |= desired
            .refused
            .values()
            .any(|refusal| refusal.reason == herald_aws::Reason::NodePortsNeeded);
        seen.warnings = desired.warnings;
        seen.refused = desired.refused;
    }
    Ok(seen)
}

impl Scene {
    fn wanted(&self, settings: &Settings, observed: &Observed, published: Option<&str>) -> Wanted {
        let input = Input {
            service: &self.service,
            endpoints: &self.endpoints,
            nodes: &self.nodes,
            network: &self.network,
        };
        if self.refused.is_some() {
            held(&input, settings)
        } else {
            desired(&input, settings, &observed.present(published))
        }
    }
}

/// Makes the calls of a plan, one after the other.
pub async fn carry_out(
    aws: &dyn Aws,
    owner: &Owner,
    plan: &Plan,
    memory: &mut Memory,
    clock: &Clock,
) -> Outcome {
    if !plan.steps.is_empty() {
        debug!(service = %owner.service, "{plan}");
    }
    let mut apply = Apply::new(owner.clone(), plan);
    while let Some(call) = apply.next_call() {
        let answer = aws.execute(call).await;
        apply.take(answer, memory, clock.now());
    }
    apply.finish()
}

/// Reads the network.
///
/// # Errors
/// The read that failed.
pub async fn discover(aws: &dyn Aws, mut reading: Discovery) -> Result<Site, Verdict> {
    while let Some(call) = reading.next_call() {
        reading.take(aws.execute(call).await);
    }
    reading.finish()
}

/// Surveys the region.
///
/// # Errors
/// The read that failed.
pub async fn survey(aws: &dyn Aws, cluster: &str) -> Result<Inventory, Verdict> {
    let mut survey = Survey::new(cluster);
    while let Some(call) = survey.next_call().cloned() {
        let answer = aws.execute(call).await;
        survey.take(answer);
    }
    survey.finish()
}
