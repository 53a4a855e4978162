//! May this request be served? Asks the stored roles, when they are enforced, and remembers what was asked.

use http::Method;
use serde_json::Value;

use crate::faults::{ClientId, RequestFacts};
use crate::rbac::{Access, Policy, User};
use crate::request::{Request, Target};
use crate::server::Shared;
use crate::state::State;
use crate::status_error::StatusError;

/// What the roles `system:discovery` and `system:public-info-viewer` give to everybody.
const FOR_ALL: [&str; 7] = [
    "/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz",
];

/// Who asks; nobody whose token is not known.
pub(super) fn user<'a>(shared: &'a Shared, client: &ClientId) -> Option<&'a User> {
    match &client.token {
        Some(token) => shared.tokens.get(token),
        None => shared.anonymous.as_ref(),
    }
}

/// Refuses what no role allows.
pub(super) fn authorize(
    shared: &Shared,
    facts: &RequestFacts,
    request: &Request,
) -> Result<(), StatusError> {
    if !shared.enforces_rbac {
        return Ok(());
    }
    let nobody = User::new("system:anonymous", &[]);
    let user = user(shared, &facts.client).unwrap_or(&nobody);
    let asked = access_of(facts, request, user);
    let mut wanted = vec![asked.clone()];
    if creates(&shared.state(), request) {
        wanted.push(Access {
            verb: "create".to_owned(),
            ..asked
        });
    }
    for mut access in wanted {
        access.allowed = is_open(&access) || allows(&shared.state(), user, &access);
        let refused = (!access.allowed).then(|| access.refusal());
        shared.note(access);
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    Ok(())
}

fn access_of(facts: &RequestFacts, request: &Request, user: &User) -> Access {
    let of_all = matches!(facts.verb.as_str(), "list" | "watch" | "deletecollection");
    let selected = of_all.then(|| request.query.get("fieldSelector").and_then(named_by));
    let name = selected.flatten().unwrap_or_else(|| facts.name.clone());
    let path = match facts.resource.is_empty() {
        true => request.path.clone(),
        false => String::new(),
    };
    // A namespace is in itself: a role there may speak of it.
    let namespace = match facts.group.is_empty() && facts.resource == "namespaces" {
        true => facts.name.clone(),
        false => facts.namespace.clone(),
    };
    Access {
        user: user.name.clone(),
        verb: facts.verb.clone(),
        group: facts.group.clone(),
        resource: facts.resource.clone(),
        subresource: facts.subresource.clone(),
        namespace,
        name,
        path,
        allowed: false,
    }
}

/// The name that `metadata.name=NAME` selects.
fn named_by(selector: &str) -> Option<String> {
    selector.split(',').find_map(|term| {
        let name = term.trim().strip_prefix("metadata.name=")?;
        Some(name.trim_start_matches('=').to_owned())
    })
}

pub(super) fn is_open(access: &Access) -> bool {
    let below = |open: &str| {
        let rest = access.path.strip_prefix(open);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    access.resource.is_empty() && access.verb == "get" && FOR_ALL.iter().any(|open| below(open))
}

/// Whether a server-side apply makes what is not there: that takes both verbs.
fn creates(state: &State, request: &Request) -> bool {
    let applies = request
        .content_type()
        .starts_with("application/apply-patch");
    if request.method != Method::PATCH || !applies {
        return false;
    }
    let Some(target) = Target::parse(&request.path) else {
        return false;
    };
    let Ok(resource) = state.resource(&target.group, &target.version, &target.plural) else {
        return false;
    };
    let name = target.name.unwrap_or_default();
    let found = state
        .store
        .get(&resource.store_name(), &target.namespace, &name);
    target.subresource.is_none() && found.is_none()
}

pub(super) fn allows(state: &State, user: &User, access: &Access) -> bool {
    let all = |plural: &str| -> Vec<&Value> {
        let stored = format!("{plural}.rbac.authorization.k8s.io");
        let objects = state.store.iter(&stored);
        objects.map(|(_, object)| object.as_ref()).collect()
    };
    let policy = Policy {
        roles: all("roles"),
        cluster_roles: all("clusterroles"),
        role_bindings: all("rolebindings"),
        cluster_role_bindings: all("clusterrolebindings"),
    };
    policy.allows(user, access)
}
