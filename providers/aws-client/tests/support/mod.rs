//! A client of a given endpoint, and a list of what it attempted.

use std::sync::{Arc, Mutex};

use aws_types::os_shim_internal::Env;
use herald_aws_client::{Client, Observer, defaults};

/// Every attempt, as `operation code`.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Vec<String>>);

impl Observer for Attempts {
    fn attempted(&self, operation: &str, code: &str) {
        self.0.lock().unwrap().push(format!("{operation} {code}"));
    }
}

impl Attempts {
    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The environment of a process that has credentials, and is told where AWS is.
pub fn environment(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}

/// A client by the default chain, in that environment.
pub async fn client(endpoint: &str, region: &str) -> (Client, Arc<Attempts>) {
    let attempts = Arc::new(Attempts::default());
    let loader = defaults().env(Env::from_slice(&environment(endpoint)));
    let client = Client::connect(loader, Some(region), attempts.clone());
    (client.await.unwrap(), attempts)
}
