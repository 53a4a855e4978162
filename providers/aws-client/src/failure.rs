//! Why a call failed, in the words of AWS where it said any.
//!
//! ```text
//!   AWS refused            ─▶ its code and message
//!   5xx without a code     ─▶ NO_ANSWER, as nobody knows what was done
//!   no or half an answer   ─▶ NO_ANSWER
//!   no credentials, region ─▶ NO_CREDENTIALS, InvalidRequest: nothing was sent
//! ```

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use herald_aws::Failure;
use roxmltree::Document;

/// What AWS refuses over the query protocol.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) ErrorMetadata);

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Refused {
    /// Both `<ErrorResponse><Error>` and `<Response><Errors><Error>` are answers of AWS.
    pub(crate) fn read(body: &[u8]) -> Self {
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code_in(body) {
            metadata = metadata.code(code);
        }
        if let Some(message) = text_in(body, "Message") {
            metadata = metadata.message(message);
        }
        Self(metadata.build())
    }
}

/// The code in the body of a refusal.
pub(crate) fn code_in(body: &[u8]) -> Option<String> {
    text_in(body, "Code")
}

fn text_in(body: &[u8], name: &str) -> Option<String> {
    let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
    let mut nodes = document.descendants();
    let node = nodes.find(|node| node.tag_name().name() == name)?;
    node.text().map(|text| text.trim().to_owned())
}

/// The failure of a call.
pub(crate) fn failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if lacks_credentials(&error) {
        return Failure::new(Failure::NO_CREDENTIALS, told(&error));
    }
    match &error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            match refused.err().code() {
                Some(code) => Failure::new(code, refused.err().message().unwrap_or("no message")),
                None if status >= 500 => {
                    Failure::new(Failure::NO_ANSWER, format!("HTTP status {status}"))
                }
                None => Failure::new(format!("Http{status}"), "the answer has no code"),
            }
        }
        SdkError::ConstructionFailure(_) => Failure::new("InvalidRequest", told(&error)),
        _ => Failure::new(Failure::NO_ANSWER, told(&error)),
    }
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<CredentialsError>)
}

/// The causes, outermost first, each once.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = causes(error).map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_both_forms() {
        let elb = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>TargetGroupNotFound</Code><Message>gone</Message></Error></ErrorResponse>";
        let ec2 = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>InvalidGroup.NotFound</Code><Message>gone</Message></Error></Errors></Response>";
        for (body, code) in [(elb, "TargetGroupNotFound"), (ec2, "InvalidGroup.NotFound")] {
            let refused = Refused::read(body.as_bytes());
            assert_eq!(refused.code(), Some(code));
            assert_eq!(refused.message(), Some("gone"));
        }
        for body in ["", "<html>", "{\"Code\": 1}", "<a/>"] {
            assert_eq!(code_in(body.as_bytes()), None, "{body}");
        }
    }
}
