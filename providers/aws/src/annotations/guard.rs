//! Who may connect: security groups, prefix lists and source ranges.

use std::collections::BTreeMap;

use super::{
    reader::{PREFIX, Reader, parts},
    wishes::Wishes,
};
use crate::refusal::{Reason, Refusal};

/// The one key of another form.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

pub(super) fn security(
    reader: &mut Reader<'_>,
    wishes: &mut Wishes,
    annotations: &BTreeMap<String, String>,
) {
    wishes.security_groups = reader.list("security-groups");
    wishes.open_nodes = reader.flag("manage-backend-security-group-rules");
    wishes.prefix_lists = reader.ids("security-group-prefix-lists", "pl-");
    wishes.path_mtu = reader
        .switch("enable-icmp-for-path-mtu-discovery")
        .unwrap_or(false);
    wishes.no_security_groups = reader.flag("disable-nlb-sg").unwrap_or(false);
    let own_only = [
        (
            "security-group-prefix-lists",
            !wishes.prefix_lists.is_empty(),
        ),
        ("enable-icmp-for-path-mtu-discovery", wishes.path_mtu),
    ];
    for (key, _) in own_only.into_iter().filter(|(_, said)| *said) {
        if wishes.no_security_groups || !wishes.security_groups.is_empty() {
            reader.contradiction(format!("{PREFIX}{key} is for the security group that Herald makes, and this balancer has none; remove it"));
        }
    }
    if wishes.no_security_groups && !wishes.security_groups.is_empty() {
        reader.contradiction(format!(
            "{PREFIX}disable-nlb-sg and {PREFIX}security-groups exclude each other; remove one"
        ));
    }
    for part in annotations
        .get(SOURCE_RANGES)
        .into_iter()
        .flat_map(|text| parts(text))
    {
        match part.parse() {
            Ok(range) => wishes.source_ranges.push(range),
            Err(_) => reader.ills.push(Refusal::new(
                Reason::InvalidAnnotation,
                format!("{SOURCE_RANGES} has {part:?}, which is no CIDR such as 10.0.0.0/8"),
            )),
        }
    }
}
