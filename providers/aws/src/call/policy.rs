//! That the IAM policy in `deploy/aws/` allows what is called, and nothing else.

use std::collections::BTreeSet;

/// What AWS asks for by itself while it does what was called; each is explained in `deploy/aws/README.md`.
const IMPLIED: [&str; 7] = [
    "ec2:CreateTags",
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:GetSecurityGroupsForVpc",
    "iam:CreateServiceLinkedRole",
];
const POLICY: &str = include_str!("../../../../deploy/aws/iam-policy.json");
const README: &str = include_str!("../../../../deploy/aws/README.md");
/// `Call::action` names the action of every call: the compiler sees to it that none is left out.
const ACTIONS: &str = include_str!("shown.rs");

/// Everything between quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

fn called() -> BTreeSet<String> {
    let (_, body) = ACTIONS.split_once("fn action(&self)").unwrap();
    let (body, _) = body.split_once("impl fmt::Display").unwrap();
    let lines = body.lines().filter(|line| !line.contains("const ELB"));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    let words: BTreeSet<&str> = quoted(&text).filter(|word| *word != "ec2").collect();
    let of_ec2 = |word: &str| text.contains(&format!("(\"ec2\", \"{word}\")"));
    let family = |word: &str| {
        if of_ec2(word) {
            "ec2"
        } else {
            "elasticloadbalancing"
        }
    };
    let all = words.iter().map(|word| format!("{}:{word}", family(word)));
    all.collect()
}

fn allowed() -> BTreeSet<String> {
    let families = ["elasticloadbalancing:", "ec2:", "iam:"];
    let is_action = |word: &&str| {
        families.iter().any(|family| {
            let action = word.strip_prefix(*family);
            action.is_some_and(|action| action.chars().all(char::is_alphanumeric))
        })
    };
    // Keys of conditions look alike.
    let is_key = |word: &&str| word.ends_with(":CreateAction") || word.ends_with(":AWSServiceName");
    let words = quoted(POLICY)
        .filter(is_action)
        .filter(|word| !is_key(word));
    words.map(str::to_owned).collect()
}

#[test]
fn the_policy_allows_what_is_called_and_no_more() {
    let called = called();
    assert!(
        called.len() > 30 && called.contains("ec2:DescribeInstances"),
        "{called:?}"
    );
    let implied: BTreeSet<String> = IMPLIED.map(str::to_owned).into();
    assert_eq!(allowed(), &called | &implied);
}

#[test]
fn every_action_is_explained() {
    for action in allowed() {
        let (_, name) = action.split_once(':').unwrap();
        let told = [format!("`{name}`"), format!("`{action}`")];
        assert!(
            told.iter().any(|told| README.contains(told)),
            "{action} is not in the README"
        );
    }
}
