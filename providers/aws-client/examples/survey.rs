//! What of a region carries a cluster's tag, and what its network looks like: `survey CLUSTER VPC`. It only reads.

use std::{env, process::ExitCode, sync::Arc};

use herald_aws::{Discovery, Executor as _, Moment, Sought, Survey, discover};
use herald_aws_client::{Client, Observer, defaults};

struct Printed;

impl Observer for Printed {
    fn attempted(&self, operation: &str, code: &str) {
        eprintln!("{operation} {code}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [cluster, vpc] = arguments.as_slice() else {
        eprintln!("survey CLUSTER VPC");
        return ExitCode::FAILURE;
    };
    let client = match Client::connect(defaults(), None, Arc::new(Printed)).await {
        Ok(client) => client,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut survey = Survey::new(cluster);
    while let Some(call) = survey.next_call().cloned() {
        let answer = client.execute(call).await;
        survey.take(answer);
    }
    let reading = Discovery::new(cluster, Some(vpc.as_str()), Sought::default(), Moment(0));
    match (survey.finish(), discover(&client, reading).await) {
        (Ok(inventory), Ok(site)) => {
            println!("{inventory:#?}\n{:#?}", site.network);
            ExitCode::SUCCESS
        }
        (Err(verdict), _) | (_, Err(verdict)) => {
            eprintln!("{}", verdict.refusal);
            ExitCode::FAILURE
        }
    }
}
