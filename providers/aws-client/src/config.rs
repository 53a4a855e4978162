//! Where AWS is and who we are there: the SDK's default chain (environment, profile, IRSA, pod identity, IMDS last), and
//! our limits of time.

use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

/// One attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// All attempts of one request, with the pauses between.
const REQUEST: Duration = Duration::from_secs(25);
/// A request is tried so often; only for what AWS did not do, or may do twice.
const ATTEMPTS: u32 = 3;

/// The same for an AWS in which things are only tried, as moto on this machine: it takes any credentials, so nobody need
/// have some, and whatever the environment says, nothing is sent anywhere else.
#[must_use]
pub fn trial(endpoint: &str) -> ConfigLoader {
    let anyone = Credentials::new(TRIAL_KEY, TRIAL_KEY, None, None, "trial");
    defaults()
        .endpoint_url(endpoint)
        .credentials_provider(anyone)
        // With an endpoint of one's own the SDK refuses these, and the environment may ask for them.
        .use_fips(false)
        .use_dual_stack(false)
}

/// Both halves of the key that [`trial`] signs with.
pub const TRIAL_KEY: &str = "trial";

/// The SDK's defaults with Herald's limits. TLS is by ring, as everywhere in Herald. Retries are the standard ones: the SDK's
/// adaptive mode holds all calls up for some 14 seconds after one throttled call, so it is `Pace` that slows down.
#[must_use]
pub fn defaults() -> ConfigLoader {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(REQUEST)
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}
