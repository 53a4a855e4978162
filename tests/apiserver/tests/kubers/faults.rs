//! Faults, and what a client sees of each.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use herald_apiserver::{Action, ApiServer, Fault};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::{Api, ListParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;

use crate::support::{code_of, next, service, soon, started};

#[tokio::test]
async fn a_lost_reply_takes_effect() {
    let (server, client) = started().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    server.faults().add(
        Fault::new(Action::LoseReply)
            .verb("create")
            .resource("services")
            .times(1),
    );
    let lost = services
        .create(&PostParams::default(), &service("web", "LoadBalancer"))
        .await;
    assert!(
        !matches!(lost, Ok(_) | Err(kube::Error::Api(_))),
        "the reply was lost: {lost:?}"
    );
    assert_eq!(
        code_of(
            services
                .create(&PostParams::default(), &service("web", "LoadBalancer"))
                .await
        ),
        409
    );
}

#[tokio::test]
async fn a_partitioned_client_is_cut_off_and_comes_back() {
    let (server, client) = started().await;
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.get("default").await.unwrap();
    let id = server.faults().add(Fault::new(Action::Partition));
    let cut = namespaces.get("default").await;
    assert!(!matches!(cut, Ok(_) | Err(kube::Error::Api(_))), "{cut:?}");
    assert!(server.faults().remove(id));
    namespaces.get("default").await.unwrap();
}

#[tokio::test]
async fn a_cut_or_compacted_watch_starts_again() {
    let (server, client) = started().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let config = watcher::Config::default().fields("spec.type=LoadBalancer");
    let mut events = Box::pin(watcher(services.clone(), config));
    assert_eq!(next(&mut events).await, "Init");
    assert_eq!(next(&mut events).await, "InitDone");
    services
        .create(&PostParams::default(), &service("a", "LoadBalancer"))
        .await
        .unwrap();
    assert_eq!(next(&mut events).await, "Apply a");
    server
        .faults()
        .add(Fault::new(Action::CutWatch { after_events: 0 }).times(1));
    services
        .create(&PostParams::default(), &service("b", "LoadBalancer"))
        .await
        .unwrap();
    // The cut is an error of the stream; then the watch goes on where it was.
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("Apply b") {
        match soon("an event", events.next()).await.unwrap() {
            Ok(Event::Apply(object)) => {
                seen.push(format!("Apply {}", object.metadata.name.unwrap()))
            }
            Ok(other) => panic!("not a resumed watch: {other:?}"),
            Err(_) => {}
        }
    }
    // Without its history the server says 410, and the watcher lists anew.
    let id = server.faults().add(Fault::new(Action::RefuseConnections));
    services
        .create(&PostParams::default(), &service("c", "LoadBalancer"))
        .await
        .unwrap_err();
    server
        .create(serde_json::to_value(service("c", "LoadBalancer")).unwrap())
        .unwrap();
    server.compact();
    server.faults().remove(id);
    let mut names = Vec::new();
    loop {
        match soon("a new list", events.next()).await.unwrap() {
            Ok(Event::InitApply(object)) => names.push(object.metadata.name.unwrap()),
            Ok(Event::InitDone) => break,
            Ok(_) | Err(_) => {}
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_unix_socket_serves_too_and_stop_ends_watches() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = ApiServer::builder()
        .token("secret", "admin")
        .build()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve(listener).await });
    let ask = async |token: &str, path_and_query: &str| {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let request = format!(
            "GET {path_and_query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let mut text = String::new();
    ask("wrong", "/version")
        .await
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
    let mut watch = ask("secret", "/api/v1/namespaces?watch=1").await;
    let mut buffer = [0; 1024];
    soon("the first events", watch.read(&mut buffer))
        .await
        .unwrap();
    soon("stopping", server.stop()).await;
    let mut rest = Vec::new();
    soon("the end of the watch", watch.read_to_end(&mut rest))
        .await
        .unwrap();
    soon("the listener", served).await.unwrap().unwrap();
}

#[tokio::test]
async fn errors_and_delays_on_demand() {
    let (server, client) = started().await;
    let namespaces: Api<Namespace> = Api::all(client);
    let error = |code| Action::Error {
        code,
        reason: None,
        message: None,
        retry_after_seconds: Some(1),
    };
    for code in [409, 410, 429, 500, 503] {
        server.faults().add(
            Fault::new(error(code))
                .verb("get")
                .resource("namespaces")
                .times(1),
        );
        assert_eq!(code_of(namespaces.get("default").await), code);
    }
    server
        .faults()
        .add(Fault::new(Action::Delay { millis: 50 }).times(1));
    let before = std::time::Instant::now();
    namespaces.get("default").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(50));
    server.faults().add(Fault::new(Action::Hang).times(1));
    let hung = tokio::time::timeout(Duration::from_millis(200), namespaces.get("default")).await;
    assert!(hung.is_err(), "a hung request is not answered");
    server.faults().pause();
    let paused = tokio::time::timeout(Duration::from_millis(100), namespaces.get("default")).await;
    assert!(paused.is_err(), "a paused server does not answer");
    server.faults().resume();
    soon("an answer after the pause", namespaces.get("default"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stale_list_and_duplicate_events() {
    let (server, client) = started().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let then = server.resource_version();
    services
        .create(&PostParams::default(), &service("late", "ClusterIP"))
        .await
        .unwrap();
    let stale = Action::StaleList {
        resource_version: Some(then),
    };
    server
        .faults()
        .add(Fault::new(stale).resource("services").verb("list").times(1));
    let count = async || {
        services
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len()
    };
    assert_eq!((count().await, count().await), (1, 2));
    server.faults().add(
        Fault::new(Action::DuplicateEvents)
            .resource("services")
            .verb("watch"),
    );
    let parameters = kube::api::WatchParams::default().timeout(1);
    let events: Vec<_> = services
        .watch(&parameters, &then.to_string())
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, kube::api::WatchEvent::Added(_)))
            .count(),
        2
    );
}

#[tokio::test]
async fn faults_are_controlled_over_http() {
    let (server, client) = started().await;
    let ask = async |method: &str, path: &str, body: serde_json::Value| {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .unwrap();
        client.request::<serde_json::Value>(request).await
    };
    let fault = json!({
        "verb": "get", "resource": "namespaces", "name": "default", "count": 1,
        "fault": {"action": "error", "code": 503},
    });
    let added = ask("POST", "/herald-faults", fault).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.get("kube-system").await.unwrap();
    assert_eq!(code_of(namespaces.get("default").await), 503);
    namespaces.get("default").await.unwrap();
    let listed = ask("GET", "/herald-faults", json!(null)).await.unwrap();
    assert_eq!(
        (&listed["faults"][0]["hits"], &listed["faults"][0]["id"]),
        (&json!(1), &added["id"])
    );
    // A paused server still hears its control endpoint.
    ask("POST", "/herald-faults/pause", json!(null))
        .await
        .unwrap();
    assert!(server.faults().is_paused());
    ask("POST", "/herald-faults/resume", json!(null))
        .await
        .unwrap();
    namespaces.get("default").await.unwrap();
    let wrong = ask(
        "POST",
        "/herald-faults",
        json!({"fault": {"action": "explode"}}),
    )
    .await;
    assert_eq!(code_of(wrong), 400);
    let cleared = ask("DELETE", "/herald-faults", json!(null)).await.unwrap();
    assert_eq!(cleared["faults"], json!([]));
}

#[tokio::test]
async fn a_hanging_request_does_not_hold_up_the_end() {
    let (server, client) = started().await;
    let namespaces: Api<Namespace> = Api::all(client);
    server.faults().add(Fault::new(Action::Hang));
    let hung = tokio::spawn(async move { namespaces.get("default").await });
    while server.faults().list()[0].hits == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    soon("stopping", server.stop()).await;
    assert!(soon("the cut", hung).await.unwrap().is_err());
}
