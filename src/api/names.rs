//! Names that users write into manifests and scripts look for.

/// The API group.
pub const GROUP: &str = "herald.dev";
/// The API version.
pub const VERSION: &str = "v1alpha1";

/// The namespace Herald lives in unless told otherwise.
pub const DEFAULT_NAMESPACE: &str = "herald-system";
/// The controller's name as field manager, event reporter and lease holder prefix.
pub const CONTROLLER: &str = "herald-controller";
/// The agent's name as field manager and event reporter.
pub const AGENT: &str = "herald-agent";
/// The reason of an Event: an address of the Service came to another node.
pub const EVENT_MOVED: &str = "Moved";
/// The Lease that the leading controller holds.
pub const LEASE: &str = "herald-controller";
/// The Secret with the agents' heartbeat keys.
pub const PEER_KEY_SECRET: &str = "herald-peer-key";
/// The entry of [`PEER_KEY_SECRET`] that holds the keys, in the format of `--peer-key-file`.
pub const PEER_KEY_ENTRY: &str = "keys";

/// Prefix of all of Herald's annotations.
pub const ANNOTATION_PREFIX: &str = "herald.dev/";
/// Pool name, or a comma list: one pool per family, or in order of preference.
pub const ANNOTATION_POOL: &str = "herald.dev/pool";
/// Requested addresses, comma list, at most one per family.
pub const ANNOTATION_ADDRESSES: &str = "herald.dev/addresses";
/// Written by Herald: the pools that the addresses came from.
pub const ANNOTATION_ALLOCATED_FROM: &str = "herald.dev/allocated-from";
/// Which provider serves a Service without a class.
pub const ANNOTATION_PROVIDER: &str = "herald.dev/provider";
/// Take over a Service that another controller has touched.
pub const ANNOTATION_ADOPT: &str = "herald.dev/adopt";
/// Services with the same key may share an address.
pub const ANNOTATION_SHARING_KEY: &str = "herald.dev/sharing-key";
/// `disabled` or `enabled`.
pub const ANNOTATION_NODE_PORTS: &str = "herald.dev/node-ports";
/// `nodes` or `none`.
pub const ANNOTATION_FALLBACK: &str = "herald.dev/fallback";

/// All that may stand on a Service; any other of Herald's prefix is refused.
pub const SERVICE_ANNOTATIONS: [&str; 8] = [
    ANNOTATION_POOL,
    ANNOTATION_ADDRESSES,
    ANNOTATION_ALLOCATED_FROM,
    ANNOTATION_PROVIDER,
    ANNOTATION_ADOPT,
    ANNOTATION_SHARING_KEY,
    ANNOTATION_NODE_PORTS,
    ANNOTATION_FALLBACK,
];

/// On a pool: when somebody asked for a rebalance last (RFC 3339); every new value asks anew.
pub const ANNOTATION_REBALANCE: &str = "herald.dev/rebalance";

/// On a pool: when somebody asked last to look on the wire for hosts on its free addresses; every new value asks anew.
pub const ANNOTATION_SURVEY: &str = "herald.dev/survey";

/// MetalLB's word for [`ANNOTATION_POOL`].
pub const METALLB_POOL: &str = "metallb.io/address-pool";
/// MetalLB's word for [`ANNOTATION_ADDRESSES`].
pub const METALLB_ADDRESSES: &str = "metallb.io/loadBalancerIPs";
/// MetalLB's word for [`ANNOTATION_SHARING_KEY`].
pub const METALLB_SHARING_KEY: &str = "metallb.io/allow-shared-ip";

/// Prefix of the annotations that the AWS Load Balancer Controller and cloud-provider-aws read.
pub const AWS_ANNOTATION_PREFIX: &str = "service.beta.kubernetes.io/";
/// Prefix of the annotations on weighted target groups.
pub const AWS_ACTIONS_PREFIX: &str = "service.beta.kubernetes.io/actions.";

/// Prefix of the load balancer classes.
pub const CLASS_PREFIX: &str = "herald.dev/";
/// The class served by pools and announced by ARP and NDP.
pub const CLASS_LAYER2: &str = "herald.dev/layer2";

/// The class served by addresses of nodes.
pub const CLASS_NODE: &str = "herald.dev/node";
/// The class served by a Network Load Balancer.
pub const CLASS_AWS_NLB: &str = "herald.dev/aws-nlb";
/// On a Service while anything in AWS may be there for it.
pub const FINALIZER_AWS_NLB: &str = "herald.dev/aws-nlb";

/// Condition on a Service: are its node ports as was asked for; left out where nothing was.
pub const CONDITION_NODE_PORTS: &str = "herald.dev/NodePorts";
/// Condition on a Service: has it got its addresses, and if not, why.
pub const CONDITION_ALLOCATED: &str = "herald.dev/AddressAllocated";
/// Condition on a Service: does a node announce its addresses on the LAN; left out where no agent speaks of it.
pub const CONDITION_ANNOUNCED: &str = "herald.dev/Announced";
/// Condition on a Service: has the cloud made its balancer, and if not, why.
pub const CONDITION_PROVISIONED: &str = "herald.dev/Provisioned";
/// All conditions that the controller writes on Services.
pub const CONDITIONS: [&str; 4] = [
    CONDITION_ALLOCATED,
    CONDITION_ANNOUNCED,
    CONDITION_NODE_PORTS,
    CONDITION_PROVISIONED,
];
/// Prefix of all of Herald's conditions on Services.
pub const CONDITION_PREFIX: &str = "herald.dev/";

/// Nodes with this label receive no traffic from load balancers (a Kubernetes label).
pub const LABEL_EXCLUDE_NODE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Nodes with this taint have been declared dead by an operator (a Kubernetes taint).
pub const TAINT_OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Nodes with this taint are about to be deleted (the cluster autoscaler's taint).
pub const TAINT_SCALE_DOWN: &str = "ToBeDeletedByClusterAutoscaler";

/// Finalizers that prove that another load balancer controller looks after a Service.
pub const FOREIGN_FINALIZERS: [&str; 2] = [
    "service.kubernetes.io/load-balancer-cleanup",
    "service.k8s.aws/resources",
];
