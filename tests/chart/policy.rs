//! The chart's admission policy, judged as the API server would: its expressions evaluated on requests.

use herald::api;
use kube_cel::{AdmissionRequest, VapEvaluator, VapExpression, VapResult};
use serde_json::{Value, json};

const ESCAPES: [(&str, &str); 3] = [(".", "__dot__"), ("/", "__slash__"), ("-", "__dash__")];

/// What the policy says to a request: the messages of what it refuses. `None` where it does not look at the request.
pub fn judge(policy: &Value, object: &Value, before: Option<&Value>) -> Option<Vec<String>> {
    let spec = &policy["spec"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |name: &str| spec[name].as_array().unwrap().iter();
    let mut evaluator = VapEvaluator::builder()
        .object(object.clone())
        .request(AdmissionRequest {
            namespace: text(&object["metadata"]["namespace"]),
            ..AdmissionRequest::default()
        });
    if let Some(before) = before {
        evaluator = evaluator.old_object(before.clone());
    }
    let evaluator = evaluator.build();
    // Each variable may use those before it; the evaluator knows none, so they are written out.
    let mut variables: Vec<(String, String)> = Vec::new();
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
        let result = evaluator.evaluate(&[expression]).remove(0);
        let message = result.message.clone().unwrap_or_default();
        assert!(
            !message.contains(" error"),
            "{}: {message}",
            result.expression
        );
        result
    };
    if list("matchConditions").any(|condition| !evaluate(condition).passed) {
        return None;
    }
    let refused = list("validations")
        .map(evaluate)
        .filter(|result| !result.passed);
    Some(
        refused
            .map(|result| from_cel(&result.message.unwrap()))
            .collect(),
    )
}

fn written_out(variables: &[(String, String)], expression: &str) -> String {
    let mut expression = expression.to_owned();
    for (name, meaning) in variables {
        expression = expression.replace(name.as_str(), meaning);
    }
    assert!(!expression.contains("variables."), "{expression}");
    for name in api::SERVICE_ANNOTATIONS {
        expression = expression.replace(&format!("{name}\""), &format!("{}\"", in_cel(name)));
    }
    expression.replace("\"herald.dev/\"", &format!("\"{}\"", in_cel("herald.dev/")))
}

/// The evaluator gives the keys of a map the names that CEL has for fields of an object. The API server does not; here
/// the expressions follow the evaluator.
fn in_cel(key: &str) -> String {
    ESCAPES
        .iter()
        .fold(key.to_owned(), |key, (sign, word)| key.replace(sign, word))
}

fn from_cel(text: &str) -> String {
    ESCAPES.iter().fold(text.to_owned(), |text, (sign, word)| {
        text.replace(word, sign)
    })
}

/// A Service of type LoadBalancer in a namespace, with annotations.
pub fn service(namespace: &str, annotations: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "web", "namespace": namespace, "annotations": annotations },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
    })
}
