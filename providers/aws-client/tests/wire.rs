//! What the client does with an AWS that says what the test wants: nothing, refusals, half of a list.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use aws_config::timeout::TimeoutConfig;
use aws_types::os_shim_internal::Env;
use herald_aws::{Call, Executor, Failure, Id, Permit, Reply, Source, Tags, Traffic};
use herald_aws_client::{Client, ConnectError, defaults};

use crate::support::{Attempts, client, environment};

const REGION: &str = "eu-west-1";
const ELB: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
const EC2: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// Gives one answer after the other, and keeps what was asked.
struct Stub {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    fn new(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                kept.lock().unwrap().push(request(&mut stream));
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        Self { endpoint, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A request, its head in lower case and its form.
fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).unwrap();
        assert_ne!(count, 0, "the request is cut off");
        text.extend_from_slice(&piece[..count]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = all.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return format!("{head}\n\n{body}");
        }
    }
}

fn elb_refusal(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{ELB}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>because</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

fn ec2_refusal(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>because</Message></Error></Errors><RequestID>r</RequestID></Response>"
    )
}

fn group_page(group: &str, next: &str) -> String {
    format!(
        "<DescribeSecurityGroupsResponse xmlns=\"{EC2}\"><securityGroupInfo><item><groupId>{group}</groupId></item></securityGroupInfo>{next}</DescribeSecurityGroupsResponse>"
    )
}

fn balancer_page(name: &str, marker: &str) -> String {
    format!(
        "<DescribeLoadBalancersResponse xmlns=\"{ELB}\"><DescribeLoadBalancersResult><LoadBalancers><member><LoadBalancerArn>{name}</LoadBalancerArn><LoadBalancerName>{name}</LoadBalancerName><Type>network</Type></member></LoadBalancers>{marker}</DescribeLoadBalancersResult></DescribeLoadBalancersResponse>"
    )
}

fn groups() -> Call {
    Call::DescribeSecurityGroups([("team".to_owned(), "a&b".to_owned())].into())
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_no_answer_in_bounded_time() {
    // It takes connections, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let short = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(100))
        .operation_timeout(Duration::from_millis(250))
        .build();
    let attempts = Arc::new(Attempts::default());
    let loader = defaults()
        .timeout_config(short)
        .env(Env::from_slice(&environment(&endpoint)));
    let client = Client::connect(loader, Some(REGION), attempts.clone());
    let client = client.await.unwrap();
    for call in [Call::DescribeAllBalancers, groups()] {
        let answer = tokio::time::timeout(Duration::from_secs(60), client.execute(call.clone()));
        let failure = answer.await.expect("it ends").unwrap_err();
        assert_eq!(failure.code, Failure::NO_ANSWER, "{call}: {failure}");
    }
    assert!(
        attempts
            .taken()
            .iter()
            .any(|line| line == "DescribeSecurityGroups NoAnswer")
    );
}

#[tokio::test]
async fn the_limits_of_time_stand_unless_somebody_sets_others() {
    let config = defaults().env(Env::from_slice(&[])).load().await;
    let limits = config.timeout_config().unwrap();
    for limit in [
        limits.connect_timeout(),
        limits.operation_attempt_timeout(),
        limits.operation_timeout(),
    ] {
        assert!(
            limit.is_some_and(|limit| limit <= Duration::from_secs(30)),
            "{limits:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let endpoint = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (client, _) = client(&endpoint, REGION).await;
    for call in [Call::DescribeAllBalancers, groups()] {
        let failure = client.execute(call).await.unwrap_err();
        assert_eq!(failure.code, Failure::NO_ANSWER, "{failure}");
    }
}

#[tokio::test]
async fn codes_of_aws_arrive_as_they_are() {
    for (call, code, body) in [
        (
            Call::DescribeAllBalancers,
            "ExpiredToken",
            elb_refusal("ExpiredToken"),
        ),
        (
            Call::DescribeAllGroups,
            "AccessDenied",
            elb_refusal("AccessDenied"),
        ),
        (groups(), "RequestExpired", ec2_refusal("RequestExpired")),
        (
            groups(),
            "UnauthorizedOperation",
            ec2_refusal("UnauthorizedOperation"),
        ),
    ] {
        let stub = Stub::new(vec![(403, body)]);
        let (client, attempts) = client(&stub.endpoint, REGION).await;
        let failure = client.execute(call.clone()).await.unwrap_err();
        assert_eq!(failure, Failure::new(code, "because"));
        assert_eq!(attempts.taken(), [format!("{} {code}", call.action().1)]);
    }
}

#[tokio::test]
async fn a_refusal_without_a_code_tells_no_more_than_it_does() {
    for (status, code) in [(418, "Http418"), (501, Failure::NO_ANSWER)] {
        let page = || "<html>a proxy</html>".to_owned();
        for call in [Call::DescribeAllBalancers, groups()] {
            let stub = Stub::new(vec![(status, page())]);
            let (client, _) = client(&stub.endpoint, REGION).await;
            let failure = client.execute(call).await.unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
        }
    }
}

#[tokio::test]
async fn too_many_calls_are_tried_again_and_each_attempt_is_told() {
    let throttled = [
        (
            Call::DescribeAllBalancers,
            "Throttling",
            elb_refusal("Throttling"),
            balancer_page("lb", ""),
        ),
        (
            groups(),
            "RequestLimitExceeded",
            ec2_refusal("RequestLimitExceeded"),
            group_page("sg-1", ""),
        ),
    ];
    for (call, code, refusal, answer) in throttled {
        let stub = Stub::new(vec![(400, refusal), (200, answer)]);
        let (client, attempts) = client(&stub.endpoint, REGION).await;
        client.execute(call.clone()).await.unwrap();
        let action = call.action().1;
        assert_eq!(
            attempts.taken(),
            [format!("{action} {code}"), format!("{action} OK")]
        );
    }
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let pages = vec![
        (200, balancer_page("one", "<NextMarker>m1</NextMarker>")),
        (200, balancer_page("two", "<NextMarker>m2</NextMarker>")),
        (200, balancer_page("three", "")),
    ];
    let stub = Stub::new(pages);
    let (elb, _) = client(&stub.endpoint, REGION).await;
    let Ok(Reply::Balancers(read)) = elb.execute(Call::DescribeAllBalancers).await else {
        panic!("no balancers");
    };
    let names: Vec<_> = read.iter().map(|read| read.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert!(stub.asked()[2].contains("Marker=m2"), "{}", stub.asked()[2]);

    let pages = vec![
        (200, group_page("sg-1", "<nextToken>t/1</nextToken>")),
        (200, group_page("sg-2", "<nextToken/>")),
    ];
    let stub = Stub::new(pages);
    let (ec2, _) = client(&stub.endpoint, REGION).await;
    let expected = ["sg-1", "sg-2"].map(|id| (id.to_owned(), Tags::new()));
    assert_eq!(
        ec2.execute(groups()).await,
        Ok(Reply::SecurityGroups(expected.into()))
    );
    assert!(
        stub.asked()[1].ends_with("&NextToken=t%2F1"),
        "{}",
        stub.asked()[1]
    );
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let page = || (200, group_page("sg-1", "<nextToken>same</nextToken>"));
    let stub = Stub::new(vec![page(), page()]);
    let (client, _) = client(&stub.endpoint, REGION).await;
    let failure = client.execute(groups()).await.unwrap_err();
    assert_eq!(failure.code, Failure::NO_ANSWER);
}

#[tokio::test]
async fn a_call_to_ec2_is_signed_and_says_all() {
    let answer = format!(
        "<AuthorizeSecurityGroupIngressResponse xmlns=\"{EC2}\"><return>true</return></AuthorizeSecurityGroupIngressResponse>"
    );
    let stub = Stub::new(vec![(200, answer)]);
    let variables = [
        ("AWS_ENDPOINT_URL_EC2", stub.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "session"),
    ];
    let loader = defaults().env(Env::from_slice(&variables));
    let client = Client::connect(loader, Some(REGION), Arc::new(Attempts::default()));
    let client = client.await.unwrap();
    let range = |text: &str| Source::Range(text.parse().unwrap());
    let permits = [
        (Traffic::Tcp(80, 80), range("192.0.2.0/24")),
        (Traffic::Udp(53, 54), range("2001:db8::/32")),
        (Traffic::TooLargeV4, Source::PrefixList("pl-1".to_owned())),
        (Traffic::TooLargeV6, Source::Group(Id::known("sg-2"))),
    ];
    let call = Call::AuthorizeIngress {
        group: Id::known("sg-1"),
        permits: permits
            .map(|(traffic, source)| Permit { traffic, source })
            .into(),
        tags: [("a/b".to_owned(), "c d".to_owned())].into(),
    };
    assert_eq!(client.execute(call).await, Ok(Reply::Done));
    let asked = &stub.asked()[0];
    let (head, form) = asked.split_once("\n\n").unwrap();
    for part in [
        "post / http/1.1",
        "/eu-west-1/ec2/aws4_request",
        "x-amz-security-token: session",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }
    let expected = "Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1\
        &IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=192.0.2.0%2F24\
        &IpPermissions.2.IpProtocol=udp&IpPermissions.2.FromPort=53&IpPermissions.2.ToPort=54&IpPermissions.2.Ipv6Ranges.1.CidrIpv6=2001%3Adb8%3A%3A%2F32\
        &IpPermissions.3.IpProtocol=icmp&IpPermissions.3.FromPort=3&IpPermissions.3.ToPort=4&IpPermissions.3.PrefixListIds.1.PrefixListId=pl-1\
        &IpPermissions.4.IpProtocol=icmpv6&IpPermissions.4.FromPort=2&IpPermissions.4.ToPort=0&IpPermissions.4.Groups.1.GroupId=sg-2\
        &TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=a%2Fb&TagSpecification.1.Tag.1.Value=c%20d";
    assert_eq!(form, expected);
}

#[tokio::test]
async fn an_endpoint_of_the_balancer_api_alone_is_honoured() {
    let stub = Stub::new(vec![(200, balancer_page("lb", ""))]);
    let variables = [
        (
            "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
            stub.endpoint.as_str(),
        ),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let loader = defaults().env(Env::from_slice(&variables));
    let client = Client::connect(loader, None, Arc::new(Attempts::default()));
    let client = client.await.unwrap();
    assert_eq!(client.region(), REGION);
    assert!(client.execute(Call::DescribeAllBalancers).await.is_ok());
    assert!(stub.asked()[0].contains("/eu-west-1/elasticloadbalancing/aws4_request"));
}

#[tokio::test]
async fn without_region_or_credentials_nothing_is_sent_and_it_is_told() {
    let nothing = [("AWS_EC2_METADATA_DISABLED", "true")];
    let loader = || defaults().env(Env::from_slice(&nothing));
    let nowhere = Client::connect(loader(), None, Arc::new(Attempts::default())).await;
    assert!(matches!(nowhere, Err(ConnectError::NoRegion)));

    let client = Client::connect(loader(), Some(REGION), Arc::new(Attempts::default()));
    let client = client.await.unwrap();
    for call in [Call::DescribeAllBalancers, groups()] {
        let failure = client.execute(call.clone()).await.unwrap_err();
        assert_eq!(failure.code, Failure::NO_CREDENTIALS, "{call}: {failure}");
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_in_the_middle_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (done, end) = mpsc::channel::<()>();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            request(&mut stream);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n<Describe"));
            if end.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                return;
            }
        }
    });
    let (client, _) = client(&endpoint, REGION).await;
    for call in [Call::DescribeAllBalancers, groups()] {
        let failure = client.execute(call).await.unwrap_err();
        assert_eq!(failure.code, Failure::NO_ANSWER, "{failure}");
    }
    drop(done);
}
