//! Role-based access control, as `plugin/pkg/auth/authorizer/rbac` of Kubernetes decides. Pure: roles and bindings are
//! plain objects, and nothing here knows of requests.
//!
//! ```text
//! bearer token ─> User ─ subjects of ─> (Cluster)RoleBinding ─ roleRef ─> (Cluster)Role ─ rules ─> allowed or refused
//! ```
//! Nothing is allowed that no rule allows. The group `system:masters` may do everything, as there.

use serde_json::Value;

use crate::fields;
use crate::status_error::StatusError;

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Without `system:authenticated`, which everybody with a known token belongs to.
    pub(crate) groups: Vec<String>,
}

impl User {
    pub(crate) fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        Self {
            name: name.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }
}

/// What somebody asked for, and whether it was allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// The user of the bearer token.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; of a path the HTTP method.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural; empty for a path that is no resource.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Empty for what is cluster-scoped or asked of all namespaces.
    pub namespace: String,
    /// The object, or that of a field selector `metadata.name=`; empty for all.
    pub name: String,
    /// The path of what is no resource.
    pub path: String,
    /// Whether a rule allows it.
    pub allowed: bool,
}

/// The stored roles and bindings.
#[derive(Debug, Default)]
pub(crate) struct Policy<'a> {
    pub(crate) roles: Vec<&'a Value>,
    pub(crate) cluster_roles: Vec<&'a Value>,
    pub(crate) role_bindings: Vec<&'a Value>,
    pub(crate) cluster_role_bindings: Vec<&'a Value>,
}

impl Policy<'_> {
    /// Whether some rule that binds the user allows this.
    pub(crate) fn allows(&self, user: &User, access: &Access) -> bool {
        if user.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        let everywhere = self
            .cluster_role_bindings
            .iter()
            .filter(|binding| binds(binding, user))
            .any(|binding| self.role_allows(binding, "", access));
        // A binding in a namespace gives nothing on cluster-scoped objects, on all namespaces, or on paths.
        everywhere
            || (!access.namespace.is_empty()
                && self
                    .role_bindings
                    .iter()
                    .filter(|binding| {
                        fields::meta(binding, "namespace") == access.namespace
                            && binds(binding, user)
                    })
                    .any(|binding| self.role_allows(binding, &access.namespace, access)))
    }

    fn role_allows(&self, binding: &Value, namespace: &str, access: &Access) -> bool {
        let name = fields::text(binding, &["roleRef", "name"]);
        let roles = match fields::text(binding, &["roleRef", "kind"]) {
            "ClusterRole" => &self.cluster_roles,
            "Role" if !namespace.is_empty() => &self.roles,
            _ => return false,
        };
        roles
            .iter()
            .filter(|role| fields::meta(role, "name") == name)
            .filter(|role| {
                let home = fields::meta(role, "namespace");
                home.is_empty() || home == namespace
            })
            .flat_map(|role| fields::list(role, &["rules"]))
            .any(|rule| rule_allows(rule, access))
    }
}

impl Access {
    /// The refusal, in Kubernetes' words.
    pub(crate) fn refusal(&self) -> StatusError {
        let Self {
            user, verb, group, ..
        } = self;
        if self.resource.is_empty() {
            let message = format!(
                "forbidden: User \"{user}\" cannot {verb} path \"{}\"",
                self.path
            );
            return StatusError::new(403, "Forbidden", message);
        }
        let place = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", self.namespace)
        };
        let qualified = crate::resource::qualify(&self.resource, group);
        let what = if self.name.is_empty() {
            qualified.clone()
        } else {
            format!("{qualified} \"{}\"", self.name)
        };
        let asked = self.asked();
        let message = format!(
            "{what} is forbidden: User \"{user}\" cannot {verb} resource \"{asked}\" in API group \"{group}\" {place}"
        );
        StatusError::new(403, "Forbidden", message).about(&qualified, &self.name)
    }

    /// `services` or `services/status`: as rules name it.
    fn asked(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

fn binds(binding: &Value, user: &User) -> bool {
    fields::list(binding, &["subjects"]).iter().any(|subject| {
        let name = fields::text(subject, &["name"]);
        match fields::text(subject, &["kind"]) {
            "User" => name == user.name,
            "Group" => name == "system:authenticated" || user.groups.iter().any(|it| it == name),
            "ServiceAccount" => {
                let namespace = fields::text(subject, &["namespace"]);
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        }
    })
}

fn rule_allows(rule: &Value, access: &Access) -> bool {
    let words = |field: &str| {
        let list = fields::list(rule, &[field]).iter();
        list.filter_map(Value::as_str).collect::<Vec<_>>()
    };
    let has = |field: &str, word: &str| words(field).iter().any(|it| *it == "*" || *it == word);
    if !has("verbs", &access.verb) {
        return false;
    }
    if access.resource.is_empty() {
        return words("nonResourceURLs").iter().any(|url| {
            let prefix = url.strip_suffix('*');
            prefix.map_or(*url == access.path, |prefix| {
                access.path.starts_with(prefix)
            })
        });
    }
    let any_of_subresource = format!("*/{}", access.subresource);
    let resource = has("resources", &access.asked())
        || (!access.subresource.is_empty()
            && words("resources").contains(&any_of_subresource.as_str()));
    let names = words("resourceNames");
    resource
        && has("apiGroups", &access.group)
        && (names.is_empty() || names.contains(&access.name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn access(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Access {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Access {
            user: "system:serviceaccount:here:robot".into(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..Access::default()
        }
    }

    #[test]
    fn a_request_needs_a_rule_that_binds_its_user() {
        let cluster_role = json!({"metadata": {"name": "robot"}, "rules": [
            {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]},
            {"apiGroups": ["herald.dev"], "resources": ["*/status"], "verbs": ["patch"]},
            {"nonResourceURLs": ["/metrics", "/logs/*"], "verbs": ["get"]},
        ]});
        let role = json!({"metadata": {"name": "robot", "namespace": "here"}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["own"], "verbs": ["*"]},
        ]});
        let subjects = json!([{"kind": "ServiceAccount", "namespace": "here", "name": "robot"}]);
        let cluster_binding =
            json!({"roleRef": {"kind": "ClusterRole", "name": "robot"}, "subjects": subjects});
        let binding = json!({"metadata": {"namespace": "here"},
            "roleRef": {"kind": "Role", "name": "robot"}, "subjects": subjects});
        let policy = Policy {
            roles: vec![&role],
            cluster_roles: vec![&cluster_role],
            role_bindings: vec![&binding],
            cluster_role_bindings: vec![&cluster_binding],
        };
        let robot = User {
            name: "system:serviceaccount:here:robot".into(),
            groups: Vec::new(),
        };
        let cases = [
            (access("list", "", "services", "", ""), true),
            (access("list", "", "services", "there", ""), true),
            (access("watch", "", "services", "", ""), false),
            (access("list", "other", "services", "", ""), false),
            (access("list", "", "services/status", "", ""), false),
            (
                access("patch", "herald.dev", "addresspools/status", "", "lan"),
                true,
            ),
            (
                access("patch", "herald.dev", "addresspools", "", "lan"),
                false,
            ),
            (access("get", "", "secrets", "here", "own"), true),
            (access("get", "", "secrets", "here", "other"), false),
            (access("list", "", "secrets", "here", ""), false),
            (access("list", "", "secrets", "here", "own"), true),
            (access("get", "", "secrets", "there", "own"), false),
            (access("get", "", "secrets", "", "own"), false),
        ];
        for (access, allowed) in cases {
            assert_eq!(policy.allows(&robot, &access), allowed, "{access:?}");
            let other = User {
                name: "other".into(),
                groups: Vec::new(),
            };
            assert!(!policy.allows(&other, &access), "{access:?}");
        }
        for (path, allowed) in [("/metrics", true), ("/metrics/", false), ("/logs/a", true)] {
            let access = Access {
                verb: "get".into(),
                path: path.into(),
                ..Access::default()
            };
            assert_eq!(policy.allows(&robot, &access), allowed, "{path}");
        }
    }

    #[test]
    fn a_refusal_says_who_cannot_do_what_where() {
        let refused = access("patch", "", "services/status", "default", "web").refusal();
        assert_eq!(refused.code, 403);
        assert_eq!(
            refused.message,
            "services \"web\" is forbidden: User \"system:serviceaccount:here:robot\" cannot patch resource \
             \"services/status\" in API group \"\" in the namespace \"default\""
        );
    }
}
