//! The one request that switches a Service's node ports, as a value.

use json_patch::{
    AddOperation, Patch, PatchOperation, RemoveOperation, TestOperation, jsonptr::PointerBuf,
};
use kube::core::Status;
use serde_json::json;

use crate::world::ServiceRecord;

/// Sets the flag, and takes the numbers away that there are. It is refused as a whole if the Service has changed since.
///
/// One request, because Kubernetes keeps every number that is in the object, whatever the flag says, and puts it back
/// when it is left out while the flag is true. A JSON Patch, because the others cannot do it: a strategic merge knows
/// ports by their number alone (TCP and UDP on 53 collide), and an apply takes away only what the applier owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePortPatch {
    /// The version of the Service that this was decided from.
    pub resource_version: String,
    /// `spec.allocateLoadBalancerNodePorts`.
    pub allocate: bool,
    /// The places in `spec.ports` whose `nodePort` goes, in ascending order.
    pub remove: Vec<usize>,
}

impl NodePortPatch {
    /// No node ports any more.
    #[must_use]
    pub fn off(service: &ServiceRecord) -> Self {
        let ports = service.ports.iter().enumerate();
        Self {
            resource_version: service.resource_version.clone(),
            allocate: false,
            remove: ports
                .filter(|(_, port)| port.node_port.is_some())
                .map(|(index, _)| index)
                .collect(),
        }
    }

    /// A node port for each port again; the API server chooses new numbers.
    #[must_use]
    pub fn on(service: &ServiceRecord) -> Self {
        Self {
            resource_version: service.resource_version.clone(),
            allocate: true,
            remove: Vec::new(),
        }
    }

    /// The body, for a JSON Patch (RFC 6902) of the Service itself by [`crate::api::CONTROLLER`].
    #[must_use]
    pub fn json(&self) -> Patch {
        let mut operations = vec![
            PatchOperation::Test(TestOperation {
                path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
                value: json!(self.resource_version),
            }),
            PatchOperation::Add(AddOperation {
                path: PointerBuf::from_tokens(["spec", "allocateLoadBalancerNodePorts"]),
                value: json!(self.allocate),
            }),
        ];
        operations.extend(self.remove.iter().map(|index| {
            PatchOperation::Remove(RemoveOperation {
                path: PointerBuf::from_tokens(["spec", "ports", &index.to_string(), "nodePort"]),
            })
        }));
        Patch(operations)
    }

    /// Whether an answer means that the Service has changed since the patch was made: look at it again.
    ///
    /// A failed `test` is no 409. Kubernetes answers 422 `Invalid` without a cause; a Service that the patch would
    /// make invalid gets the same code with causes.
    #[must_use]
    pub fn came_late(answer: &Status) -> bool {
        let causes = answer.details.iter().any(|d| !d.causes.is_empty());
        answer.code == 409 || (answer.code == 422 && !causes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_guards_sets_and_removes() {
        let patch = NodePortPatch {
            resource_version: "7".into(),
            allocate: false,
            remove: vec![0, 2],
        };
        assert_eq!(
            serde_json::to_value(patch.json()).unwrap(),
            json!([
                { "op": "test", "path": "/metadata/resourceVersion", "value": "7" },
                { "op": "add", "path": "/spec/allocateLoadBalancerNodePorts", "value": false },
                { "op": "remove", "path": "/spec/ports/0/nodePort" },
                { "op": "remove", "path": "/spec/ports/2/nodePort" },
            ])
        );
    }

    #[test]
    fn a_failed_test_is_told_from_a_refusal() {
        // Answers of a Kubernetes 1.36.2 API server.
        let failed_test = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "the server rejected our request due to an error in our request",
            "reason": "Invalid", "details": {}, "code": 422
        });
        let invalid = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Service \"e3\" is invalid: spec.type: Unsupported value: \"Nonsense\"",
            "reason": "Invalid", "code": 422,
            "details": { "name": "e3", "kind": "Service", "causes": [
                { "reason": "FieldValueNotSupported", "message": "Unsupported value", "field": "spec.type" }
            ] }
        });
        let read = |answer| serde_json::from_value::<Status>(answer).unwrap();
        assert!(NodePortPatch::came_late(&read(failed_test)));
        assert!(!NodePortPatch::came_late(&read(invalid)));
        assert!(!NodePortPatch::came_late(
            &Status::failure("no", "Forbidden").with_code(403)
        ));
    }
}
