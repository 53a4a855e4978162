//! The chart's admission policy, judged as the API server would: its expressions evaluated on requests.

use kube_cel::{VapEvaluator, VapExpression, VapResult};
use serde_json::{Value, json};

/// What the policy says to a request: the messages of what it refuses. `None` where it does not look at the request.
pub fn judge(policy: &Value, object: &Value, before: Option<&Value>) -> Option<Vec<String>> {
    let spec = &policy["spec"];
    let list = |name: &str| spec[name].as_array().unwrap().iter();
    let mut evaluator = VapEvaluator::builder().object(object.clone());
    if let Some(before) = before {
        evaluator = evaluator.old_object(before.clone());
    }
    let evaluator = evaluator.build();
    // Each variable may use those before it; the evaluator knows none, so they are written out.
    let mut variables: Vec<(String, String)> = Vec::new();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for variable in list("variables") {
        let expression = written_out(&variables, &text(&variable["expression"]));
        let name = format!("variables.{}", text(&variable["name"]));
        variables.push((name, format!("({expression})")));
    }
    let evaluate = |validation: &Value| -> VapResult {
        let words = |key: &str| {
            validation[key]
                .as_str()
                .map(|text| written_out(&variables, text))
        };
        let expression = VapExpression {
            expression: words("expression").unwrap(),
            message: validation["message"].as_str().map(str::to_owned),
            message_expression: words("messageExpression"),
        };
        evaluator.evaluate(&[expression]).remove(0)
    };
    if list("matchConditions").any(|condition| !evaluate(condition).passed) {
        return None;
    }
    let refused = list("validations")
        .map(evaluate)
        .filter(|result| !result.passed);
    Some(refused.map(|result| result.message.unwrap()).collect())
}

fn written_out(variables: &[(String, String)], expression: &str) -> String {
    let mut expression = expression.to_owned();
    for (name, meaning) in variables {
        expression = expression.replace(name.as_str(), meaning);
    }
    assert!(!expression.contains("variables."), "{expression}");
    expression
}

/// A Service of type LoadBalancer in a namespace, with annotations.
pub fn service(namespace: &str, annotations: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "web", "namespace": namespace, "annotations": annotations },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
    })
}
