//! How a server is set up, and the builder that says so.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::rbac::User;
use crate::server::ApiServer;
use crate::service::cidr::Cidr;
use crate::status_error::StatusError;

/// Everything that can be chosen before a server starts.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Service CIDRs, the primary family first.
    pub(crate) service_cidrs: Vec<Cidr>,
    pub(crate) node_ports: std::ops::RangeInclusive<u16>,
    /// How many events each resource's log keeps.
    pub(crate) log_limit: usize,
    pub(crate) bookmark_every: Duration,
    /// Bearer token -> user. Empty: everyone may come in.
    pub(crate) tokens: BTreeMap<String, User>,
    /// Whoever comes without a token, if he may.
    pub(crate) anonymous: Option<User>,
    /// Whether the stored roles decide who may do what.
    pub(crate) enforces_rbac: bool,
}

/// Sets up an [`ApiServer`].
///
/// ```
/// use herald_apiserver::ApiServer;
/// let server = ApiServer::builder().service_cidrs(&["fd96::/108", "10.96.0.0/16"]).build()?;
/// # Ok::<(), herald_apiserver::StatusError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    cidrs: Vec<String>,
    config: Config,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            cidrs: vec!["10.96.0.0/16".to_owned(), "fd96::/108".to_owned()],
            config: Config {
                service_cidrs: Vec::new(),
                node_ports: 30000..=32767,
                log_limit: 10_000,
                bookmark_every: Duration::from_secs(30),
                tokens: BTreeMap::new(),
                anonymous: None,
                enforces_rbac: false,
            },
        }
    }

    /// One or two service CIDRs; the first is the primary family. Default `10.96.0.0/16`, `fd96::/108`.
    pub fn service_cidrs(mut self, cidrs: &[&str]) -> Self {
        self.cidrs = cidrs.iter().map(|cidr| (*cidr).to_owned()).collect();
        self
    }

    /// The range that node ports are taken from. Default 30000 to 32767.
    pub fn node_ports(mut self, range: std::ops::RangeInclusive<u16>) -> Self {
        self.config.node_ports = range;
        self
    }

    /// How many events each resource remembers for watches that resume; older ones are 410 Gone.
    pub fn event_log(mut self, events_per_resource: usize) -> Self {
        self.config.log_limit = events_per_resource;
        self
    }

    /// How often a watch that allows bookmarks gets one. Default 30 s.
    pub fn bookmark_every(mut self, period: Duration) -> Self {
        self.config.bookmark_every = period;
        self
    }

    /// Lets only clients with a known bearer token in; may be called many times.
    pub fn token(self, token: impl Into<String>, user: impl Into<String>) -> Self {
        self.token_of(token, user, &[])
    }

    /// The same, for a user who belongs to groups.
    pub fn token_of(
        mut self,
        token: impl Into<String>,
        user: impl Into<String>,
        groups: &[&str],
    ) -> Self {
        self.config
            .tokens
            .insert(token.into(), User::new(user, groups));
        self
    }

    /// Lets clients without a token in too, as this user: kubectl sends none where the connection is not encrypted.
    pub fn anonymous(mut self, user: impl Into<String>, groups: &[&str]) -> Self {
        self.config.anonymous = Some(User::new(user, groups));
        self
    }

    /// Lets the stored roles and bindings decide who may do what. Without it everyone who is let in may do everything.
    /// The methods of [`ApiServer`] itself are never asked.
    pub fn enforce_rbac(mut self) -> Self {
        self.config.enforces_rbac = true;
        self
    }

    /// Makes the server. Nothing listens yet; see [`ApiServer::serve`].
    ///
    /// # Errors
    /// When a service CIDR cannot be read, or there are none, or both are of one family.
    pub fn build(mut self) -> Result<ApiServer, StatusError> {
        for text in &self.cidrs {
            let cidr = Cidr::parse(text).ok_or_else(|| {
                StatusError::bad_request(format!("\"{text}\" is not a service CIDR"))
            })?;
            self.config.service_cidrs.push(cidr);
        }
        match self.config.service_cidrs.as_slice() {
            [_] => {}
            [one, other] if one.is_ipv6() != other.is_ipv6() => {}
            _ => {
                return Err(StatusError::bad_request(
                    "one service CIDR is needed, or two of different families",
                ));
            }
        }
        ApiServer::start(self.config)
    }
}
