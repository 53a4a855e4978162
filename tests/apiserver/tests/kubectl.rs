//! The stand-in under the genuine kubectl: the commands that people type in `herald lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers are tests too"
)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use herald_apiserver::ApiServer;
use tempfile::TempDir;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}
";

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pools.kubectl.herald.dev}
spec:
  group: kubectl.herald.dev
  scope: Cluster
  names: {plural: pools, singular: pool, kind: Pool, shortNames: [pl]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Zone, type: string, jsonPath: .spec.zone}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {zone: {type: string, description: Where the pool is.}}
";

const POOL: &str = "
apiVersion: kubectl.herald.dev/v1
kind: Pool
metadata: {name: lan}
spec: {zone: south}
";

/// kubectl, pointed at a server of its own.
struct Kubectl {
    binary: PathBuf,
    directory: TempDir,
    // Serves as long as it lives.
    _runtime: tokio::runtime::Runtime,
}

impl Kubectl {
    /// None, said aloud, where there is no kubectl; a failure under CI.
    fn found() -> Option<Self> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&paths)
            .map(|path| path.join("kubectl"))
            .find(|path| path.is_file());
        let Some(binary) = found else {
            assert!(
                std::env::var_os("CI").is_none(),
                "kubectl is needed under CI and is not on PATH"
            );
            println!("SKIPPED: there is no kubectl on PATH");
            return None;
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let server = ApiServer::builder().build().unwrap();
        runtime.spawn(async move { server.serve(listener).await });
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: s\n\
             clusters: [{{name: s, cluster: {{server: \"http://{address}\"}}}}]\n\
             contexts: [{{name: s, context: {{cluster: s, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        std::fs::write(directory.path().join("config"), config).unwrap();
        Some(Self {
            binary,
            directory,
            _runtime: runtime,
        })
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments.split(' '))
            .current_dir(self.directory.path())
            .env("KUBECONFIG", self.directory.path().join("config"))
            .env("HOME", self.directory.path())
            .stdin(Stdio::null());
        command
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn output(&self, arguments: &str) -> (bool, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        (status.success(), text.into_owned())
    }

    /// Runs a command that must succeed and show all the words.
    fn run(&self, arguments: &str, words: &[&str]) -> String {
        let (ok, text) = self.output(arguments);
        assert!(ok, "kubectl {arguments} failed:\n{text}");
        for word in words {
            assert!(
                text.contains(word),
                "kubectl {arguments} does not show {word:?}:\n{text}"
            );
        }
        text
    }

    /// Runs a command that must fail and show the words.
    fn fails(&self, arguments: &str, words: &str) {
        let (ok, text) = self.output(arguments);
        assert!(
            !ok && text.contains(words),
            "kubectl {arguments} should fail with {words:?}:\n{text}"
        );
    }
}

#[test]
fn services_as_people_handle_them() {
    let Some(kubectl) = Kubectl::found() else {
        return;
    };
    println!("{}", kubectl.run("version", &["v1.36"]));
    kubectl.file("service.yaml", SERVICE);
    kubectl.run("apply -f service.yaml", &["service/web created"]);
    kubectl.run("apply -f service.yaml", &["service/web unchanged"]);
    kubectl.run(
        "get service web",
        &["TYPE", "EXTERNAL-IP", "LoadBalancer", "<pending>", "80:"],
    );
    kubectl.run("get service web -o wide", &["SELECTOR", "app=web"]);
    kubectl.run("get svc -A", &["NAMESPACE", "kubernetes"]);
    let yaml = kubectl.run(
        "get svc web -o yaml",
        &["last-applied-configuration", "nodePort"],
    );
    let changed = SERVICE.replace("{name: https, port: 443}", "{name: https, port: 8443}");
    kubectl.file("service.yaml", &changed);
    // `diff` fails by design where there is a difference.
    kubectl.fails("diff -f service.yaml", "8443");
    kubectl.run("apply -f service.yaml", &["configured"]);
    let ports = kubectl.run("get svc web -o jsonpath={.spec.ports[*].port}", &[]);
    assert_eq!(ports, "80 8443", "{yaml}");
    kubectl.run(
        "apply --server-side --force-conflicts -f service.yaml",
        &["serverside-applied"],
    );
    kubectl.run("annotate svc web herald.dev/pool=lan", &["annotated"]);
    kubectl.run("label svc web tier=front", &["labeled"]);
    kubectl.run("get svc -l tier=front -o name", &["service/web"]);
    kubectl.run(
        "patch svc web --type=merge -p {\"spec\":{\"sessionAffinity\":\"ClientIP\"}}",
        &["patched"],
    );
    kubectl.run(
        "describe svc web",
        &["LoadBalancer", "herald.dev/pool: lan"],
    );
    kubectl.run(
        "explain service.spec.loadBalancerClass",
        &["loadBalancerClass"],
    );
    kubectl.run("delete svc web", &["deleted"]);
    kubectl.fails("get svc web", "services \"web\" not found");
}

#[test]
fn definitions_and_their_objects() {
    let Some(kubectl) = Kubectl::found() else {
        return;
    };
    kubectl.file("definition.yaml", DEFINITION);
    kubectl.file("pool.yaml", POOL);
    kubectl.run("apply -f definition.yaml", &["created"]);
    kubectl.run(
        "wait --for=condition=Established crd/pools.kubectl.herald.dev --timeout=10s",
        &["condition met"],
    );
    kubectl.run(
        "apply -f pool.yaml",
        &["pool.kubectl.herald.dev/lan created"],
    );
    kubectl.file("pool.yaml", &POOL.replace("south", "north"));
    kubectl.run("apply -f pool.yaml", &["configured"]);
    kubectl.run("get pl", &["ZONE", "north"]);
    kubectl.run("explain pool.spec.zone", &["Where the pool is."]);
    kubectl.file(
        "pool.yaml",
        &POOL.replace("zone: south", "zone: south, nonsense: 1"),
    );
    kubectl.fails("apply -f pool.yaml", "unknown field \"spec.nonsense\"");
    kubectl.run(
        "api-resources --api-group=kubectl.herald.dev",
        &["pools", "pl"],
    );
    kubectl.run("delete pool lan", &["deleted"]);
    kubectl.run("delete crd pools.kubectl.herald.dev", &["deleted"]);
}

#[test]
fn typed_commands_and_a_short_watch() {
    let Some(kubectl) = Kubectl::found() else {
        return;
    };
    kubectl.run("create namespace zoo", &["created"]);
    kubectl.run("create configmap c -n zoo --from-literal=a=b", &["created"]);
    kubectl.run(
        "create secret generic s -n zoo --from-literal=a=b",
        &["created"],
    );
    kubectl.run(
        "create service loadbalancer lb -n zoo --tcp=80:8080",
        &["created"],
    );
    kubectl.run("get all -n zoo", &["service/lb"]);
    kubectl.run("auth can-i get services", &["yes"]);
    let mut watch = kubectl
        .command("get svc -n zoo -w --request-timeout=4s")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    kubectl.run("annotate svc lb -n zoo a=b", &["annotated"]);
    kubectl.run("delete svc lb -n zoo", &["deleted"]);
    std::thread::sleep(Duration::from_millis(700));
    watch.kill().unwrap();
    let seen = watch.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(
        seen.lines().filter(|line| line.starts_with("lb")).count() >= 3,
        "{seen}"
    );
    kubectl.run("delete namespace zoo", &["deleted"]);
    kubectl.fails("get namespace zoo", "not found");
}
