//! EC2 over its query protocol: a form is sent, XML comes back. The orchestrator, the signature and the retries are those of
//! the SDK; only what is asked and what is read is here.
//!
//! ```text
//!   Call ─▶ query ─▶ form ─▶ signed POST ─▶ XML ─▶ answer ─▶ Reply
//!             ▲                                │
//!             └────────── nextToken ───────────┘
//! ```

mod answer;
mod endpoint;
mod query;

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_runtime::{
    auth::{
        SigV4OperationSigningConfig,
        sigv4::{SCHEME_ID, SigV4AuthScheme},
    },
    retries::classifiers::AwsErrorCodeClassifier,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
            static_resolver::StaticAuthSchemeOptionResolver,
        },
        behavior_version::BehaviorVersion,
        identity::SharedIdentityResolver,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::{SharedRuntimePlugin, StaticRuntimePlugin},
    },
};
use aws_smithy_types::{
    body::SdkBody, config_bag::Layer, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_types::{SigningName, region::SigningRegion};
use herald_aws::{Call, Failure, Reply};

use crate::{
    client::turn_page,
    failure::{Refused, failure},
    observer::Counting,
    pace::{Lane, Pace},
};

type Request = Operation<String, String, Refused>;

/// The network of a region.
#[derive(Debug)]
pub(crate) struct Ec2 {
    config: SdkConfig,
    endpoint: String,
    /// Made once, so that every operation finds the same credentials in the cache.
    signing: SharedRuntimePlugin,
    counting: Counting,
    pace: Arc<Pace>,
}

impl Ec2 {
    pub(crate) fn new(
        config: &SdkConfig,
        region: &str,
        counting: Counting,
        pace: Arc<Pace>,
    ) -> Self {
        Self {
            endpoint: endpoint::of(config, region),
            signing: signing(config, region),
            config: config.clone(),
            counting,
            pace,
        }
    }

    pub(crate) async fn make(
        &self,
        call: Call,
        action: &'static str,
        lane: Lane,
    ) -> Result<Reply, Failure> {
        let mut form = query::form(&call, action)?;
        let request = self.request(action);
        let mut pages = Vec::new();
        let mut token = None;
        loop {
            self.pace.turn(lane).await?;
            let page = request.invoke(form.encoded()).await.map_err(failure)?;
            let next = answer::next(&page).map_err(unreadable)?;
            pages.push(page);
            if !turn_page(&mut token, next)? {
                break;
            }
            form = form.after(token.as_deref().unwrap_or_default());
        }
        answer::read(&call, &pages).map_err(unreadable)?
    }

    /// See [`Client::ask_ec2`](crate::Client::ask_ec2).
    pub(crate) async fn ask(
        &self,
        action: &'static str,
        fields: &[(&str, &str)],
        element: &str,
    ) -> Result<Vec<String>, Failure> {
        let form = query::plain(action, fields);
        self.pace.turn(Lane::Ec2Write).await?;
        let request = self.request(action);
        let answer = request.invoke(form.encoded()).await.map_err(failure)?;
        answer::texts(&answer, element).map_err(unreadable)
    }

    fn request(&self, action: &'static str) -> Request {
        let mut operation = Operation::builder()
            .service_name("ec2")
            .operation_name(action)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&self.endpoint)
            .interceptor(self.counting.clone())
            .with_connection_poisoning()
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .standard_retry(
                &self
                    .config
                    .retry_config()
                    .cloned()
                    .unwrap_or_else(RetryConfig::standard),
            )
            .timeout_config(
                self.config
                    .timeout_config()
                    .cloned()
                    .unwrap_or_else(TimeoutConfig::disabled),
            )
            .runtime_plugin(self.signing.clone());
        if let Some(http) = self.config.http_client() {
            operation = operation.http_client(http);
        }
        if let Some(time) = self.config.time_source() {
            operation = operation.time_source(time);
        }
        if let Some(sleep) = self.config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        operation
            .serializer(serialized)
            .deserializer(deserialized)
            .build()
    }
}

fn signing(config: &SdkConfig, region: &str) -> SharedRuntimePlugin {
    let mut layer = Layer::new("herald-ec2");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(aws_types::region::Region::new(
            region.to_owned(),
        ))),
        name: Some(SigningName::from_static("ec2")),
        ..SigV4OperationSigningConfig::default()
    });
    let mut components = RuntimeComponentsBuilder::new("herald-ec2")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )))
        .with_identity_cache(config.identity_cache());
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
    }
    SharedRuntimePlugin::new(
        StaticRuntimePlugin::new()
            .with_config(layer.freeze())
            .with_runtime_components(components),
    )
}

fn serialized(form: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(form));
    request.set_method("POST")?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-www-form-urlencoded");
    Ok(request)
}

fn deserialized(response: &HttpResponse) -> Result<String, OrchestratorError<Refused>> {
    let body = response.body().bytes().unwrap_or_default();
    if !response.status().is_success() {
        return Err(OrchestratorError::operation(Refused::read(body)));
    }
    String::from_utf8(body.to_vec()).map_err(|error| OrchestratorError::response(error.into()))
}

fn unreadable(error: roxmltree::Error) -> Failure {
    Failure::new(Failure::NO_ANSWER, format!("the answer is no XML: {error}"))
}
