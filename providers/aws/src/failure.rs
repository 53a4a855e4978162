//! What AWS refuses, and what to do about it.
//!
//! ```text
//!   Failure ──classify──▶ Done     a deletion of what is gone
//!                         Wait     the same again a little later
//!                         Look     what was read is out of date: read again, then plan anew
//!                         Blocked  a person or another object is in the way
//!                         User     the user or the operator must act
//! ```

use crate::{
    call::Call,
    refusal::{Reason, Refusal},
};

/// AWS refuses a call, or does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The code that AWS gives; [`Failure::NO_ANSWER`] where none came.
    pub code: String,
    /// What AWS says.
    pub message: String,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// Nothing: the call's end is met.
    Done,
    /// Try again in so many seconds.
    Wait(u64),
    /// Read again, and plan anew.
    Look,
    /// Wait for a person or for another object to make room.
    Blocked,
    /// The user or the operator must act.
    User,
}

/// A failure, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub remedy: Remedy,
    /// For people.
    pub refusal: Refusal,
    /// Whether every other call would fail alike, so that none is tried.
    pub stops_all: bool,
}

impl Failure {
    /// The code where the connection failed or the time was over: the call may have been done.
    pub const NO_ANSWER: &str = "NoAnswer";

    /// The code where there are no credentials to sign with: nothing was sent.
    pub const NO_CREDENTIALS: &str = "NoCredentials";

    /// A failure.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// Whether the object that the call is about does not exist, or is not to be seen yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.code.ends_with("NotFound")
    }

    /// Whether it shows that the network is another than was read: something of it is gone, or fits no more.
    #[must_use]
    pub fn doubts_network(&self) -> bool {
        matches!(
            self.code.as_str(),
            "SubnetNotFound"
                | "InvalidSubnet"
                | "InvalidSubnetID.NotFound"
                | "InvalidSecurityGroup"
                | "InvalidGroup.NotFound"
                | "InvalidGroupId.Malformed"
                | "InvalidVpcID.NotFound"
                | "AvailabilityZoneNotSupported"
                | "InvalidTarget"
        )
    }

    /// What to do about it when this call fails so.
    #[must_use]
    pub fn classify(&self, call: &Call) -> Verdict {
        let (family, action) = call.action();
        let (remedy, reason) = self.judge(call);
        let stops_all = matches!(
            reason,
            Reason::Throttled | Reason::CredentialsInvalid | Reason::Unreachable
        );
        let hint = match reason {
            Reason::NotPermitted => format!("; allow {family}:{action} in Herald's IAM policy"),
            Reason::QuotaExceeded => "; ask AWS for a higher quota or make room".to_owned(),
            Reason::DeletionProtected => {
                "; switch deletion_protection.enabled off to let it go".to_owned()
            }
            _ => String::new(),
        };
        // What EC2 adds in code is another each time, and would be news each time.
        let said = self
            .message
            .split("Encoded authorization failure message")
            .next();
        let said = said.unwrap_or_default().trim_end();
        Verdict {
            remedy,
            refusal: Refusal::new(
                reason,
                format!("{action} failed with {}: {said}{hint}", self.code),
            ),
            stops_all,
        }
    }

    fn judge(&self, call: &Call) -> (Remedy, Reason) {
        let deletes = call.action().1.starts_with("Delete");
        match self.code.as_str() {
            Self::NO_ANSWER => (Remedy::Look, Reason::Unreachable),
            "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "TooManyRequestsException"
            | "PriorRequestNotComplete"
            | "RequestThrottled" => (Remedy::Wait(10), Reason::Throttled),
            "InternalError" | "InternalFailure" | "ServiceUnavailable" | "Unavailable" => {
                (Remedy::Wait(10), Reason::Unreachable)
            }
            Self::NO_CREDENTIALS
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "AuthFailure"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch" => (Remedy::User, Reason::CredentialsInvalid),
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
                (Remedy::User, Reason::NotPermitted)
            }
            _ if deletes && self.is_missing() => (Remedy::Done, Reason::Stale),
            "OperationNotPermitted" if matches!(call, Call::DeleteBalancer(_)) => {
                (Remedy::Blocked, Reason::DeletionProtected)
            }
            "ResourceInUse" | "DependencyViolation" => (Remedy::Wait(30), Reason::InUse),
            "DuplicateLoadBalancerName"
            | "DuplicateTargetGroupName"
            | "DuplicateListener"
            | "InvalidPermission.Duplicate"
            | "InvalidPermission.NotFound"
            | "InvalidSecurityGroupRuleId.NotFound"
            | "InvalidGroup.Duplicate" => (Remedy::Look, Reason::Stale),
            "LoadBalancerNotFound"
            | "TargetGroupNotFound"
            | "ListenerNotFound"
            | "InvalidGroup.NotFound" => (Remedy::Look, Reason::Stale),
            "TooManyLoadBalancers"
            | "TooManyTargetGroups"
            | "TooManyListeners"
            | "TooManyTargets"
            | "TooManyTags"
            | "TooManyCertificates"
            | "TooManyRegistrationsForTargetId"
            | "RulesPerSecurityGroupLimitExceeded"
            | "SecurityGroupLimitExceeded"
            | "AddressLimitExceeded" => (Remedy::User, Reason::QuotaExceeded),
            _ => (Remedy::User, Reason::RefusedByAws),
        }
    }
}
