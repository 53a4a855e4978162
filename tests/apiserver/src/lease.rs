//! Leases: what Kubernetes refuses in one.

use serde_json::{Value, json};

use crate::fields;
use crate::status_error::Cause;

/// What is wrong with a Lease.
pub(crate) fn validate(lease: &Value, _old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = |field: &'static str| fields::get(lease, &["spec", field]);
    if let Some(seconds) = spec("leaseDurationSeconds").and_then(Value::as_i64)
        && seconds <= 0
    {
        let why = "must be greater than 0";
        causes.push(Cause::invalid(
            "spec.leaseDurationSeconds",
            &json!(seconds),
            why,
        ));
    }
    if let Some(transitions) = spec("leaseTransitions").and_then(Value::as_i64)
        && transitions < 0
    {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid(
            "spec.leaseTransitions",
            &json!(transitions),
            why,
        ));
    }
    for field in ["acquireTime", "renewTime"] {
        let wrong = spec(field)
            .and_then(Value::as_str)
            .is_some_and(|time| time.parse::<jiff::Timestamp>().is_err());
        if wrong {
            let value = spec(field).cloned().unwrap_or(Value::Null);
            causes.push(Cause::invalid(
                format!("spec.{field}"),
                &value,
                "must be a time in RFC 3339",
            ));
        }
    }
    causes
}
