//! A fault: what goes wrong, and which requests it is about.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "action",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Action {
    /// The request waits, then goes on as if nothing were.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// The request is taken and never answered.
    Hang,
    /// The request is refused with a Status; nothing happens in the store.
    Error {
        /// 409, 410, 429, 500, 503, ...
        code: u16,
        /// The reason; by default the one that belongs to the code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// `Retry-After` in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
    /// A watch's connection is cut after so many more events, counted from when it starts.
    /// Watches that are already open are cut at once when the rule is added.
    CutWatch {
        /// Events that still get through on a watch that starts under the rule.
        #[serde(default)]
        after_events: u64,
    },
    /// Lists and gets show the store as it was.
    StaleList {
        /// The resourceVersion to show; by default the newest one when the rule was added.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resource_version: Option<u64>,
    },
    /// Every event of a watch is sent twice.
    DuplicateEvents,
    /// The request takes effect, and its connection is cut instead of an answer.
    LoseReply,
    /// All connections of the client are cut, and new requests of it are cut too.
    Partition,
    /// All connections are cut, and new ones are closed as soon as they are made.
    RefuseConnections,
}

/// One rule. Absent conditions match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// `services`, `services/status`, `leases` or `leases.coordination.k8s.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The namespace of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A part of the client's User-Agent, or its whole bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How many times the rule takes effect; without it until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What goes wrong.
    #[serde(rename = "fault")]
    pub action: Action,
}

/// A rule with its number and how often it took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveFault {
    /// The number that removes it.
    pub id: u64,
    /// How often it took effect.
    pub hits: u64,
    /// The rule.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A request, as rules see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The verb.
    pub verb: String,
    /// Plural, group and subresource.
    pub resource: String,
    /// The API group.
    pub group: String,
    /// `status`, or empty.
    pub subresource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The name, or empty.
    pub name: String,
    /// Who asks.
    pub client: ClientId,
}

/// Who a client is: its User-Agent and its token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientId {
    /// The User-Agent header.
    pub user_agent: String,
    /// The bearer token.
    pub token: Option<String>,
}

impl Fault {
    /// A rule that matches every request.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            verb: None,
            resource: None,
            namespace: None,
            name: None,
            client: None,
            count: None,
            action,
        }
    }

    /// Only this verb.
    #[must_use]
    pub fn verb(mut self, verb: impl Into<String>) -> Self {
        self.verb = Some(verb.into());
        self
    }

    /// Only this resource.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Only this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only this object.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only this client.
    #[must_use]
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Whether it is about a request.
    pub(super) fn matches(&self, facts: &RequestFacts) -> bool {
        let same =
            |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|text| text == is);
        same(&self.verb, &facts.verb)
            && self.matches_resource(facts)
            && same(&self.namespace, &facts.namespace)
            && same(&self.name, &facts.name)
            && self.matches_client(&facts.client)
    }

    fn matches_resource(&self, facts: &RequestFacts) -> bool {
        let Some(wanted) = &self.resource else {
            return true;
        };
        let (wanted, subresource) = wanted.split_once('/').unwrap_or((wanted, ""));
        let qualified = format!("{}.{}", facts.resource, facts.group);
        let same = wanted == facts.resource || wanted == qualified;
        same && (subresource.is_empty() || subresource == facts.subresource)
    }

    /// Whether it is about a client.
    pub(super) fn matches_client(&self, client: &ClientId) -> bool {
        let Some(wanted) = &self.client else {
            return true;
        };
        client.user_agent.contains(wanted.as_str()) || client.token.as_ref() == Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_json() {
        let text = r#"{"verb":"patch","count":1,"fault":{"action":"error","code":429,"retryAfterSeconds":2}}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&fault).unwrap(), text);
        let _: Fault = serde_json::from_str(r#"{"fault":{"action":"cutWatch"}}"#).unwrap();
    }
}
