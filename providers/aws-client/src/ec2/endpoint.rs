//! Where EC2 is: as the caller says, else the environment or the profile, else the region's own host in its partition.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

pub(super) fn of(config: &SdkConfig, region: &str) -> String {
    // As the SDK's own clients do: what the program says wins over what the environment says of this one service.
    if let Some(url) = config.endpoint_url()
        && config.get_origin("endpoint_url").is_client_config()
    {
        return url.to_owned();
    }
    let key = ServiceConfigKey::builder()
        .service_id("EC2")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let told = config
        .service_config()
        .zip(key.ok())
        .and_then(|(service, key)| service.load_config(key))
        .or_else(|| config.endpoint_url().map(str::to_owned));
    told.unwrap_or_else(|| {
        let fips = config.use_fips().unwrap_or_default();
        let dual = config.use_dual_stack().unwrap_or_default();
        host(region, fips, dual)
    })
}

fn host(region: &str, fips: bool, dual: bool) -> String {
    // Partitions, by the beginning of their regions' names: the domain, and that of hosts with IPv6.
    let partitions = [
        ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        ("us-gov-", "amazonaws.com", "api.aws"),
        ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
        ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ];
    let partition = partitions
        .iter()
        .find(|(begin, _, _)| region.starts_with(begin));
    let (plain, with_v6) = partition.map_or(("amazonaws.com", "api.aws"), |(_, plain, with_v6)| {
        (*plain, *with_v6)
    });
    let service = if fips { "ec2-fips" } else { "ec2" };
    let domain = if dual { with_v6 } else { plain };
    format!("https://{service}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_domain() {
        for (region, fips, dual, expected) in [
            (
                "eu-west-1",
                false,
                false,
                "https://ec2.eu-west-1.amazonaws.com",
            ),
            ("eu-west-1", false, true, "https://ec2.eu-west-1.api.aws"),
            (
                "us-east-1",
                true,
                false,
                "https://ec2-fips.us-east-1.amazonaws.com",
            ),
            (
                "us-gov-west-1",
                false,
                false,
                "https://ec2.us-gov-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                false,
                false,
                "https://ec2.cn-north-1.amazonaws.com.cn",
            ),
            (
                "us-isob-east-1",
                false,
                false,
                "https://ec2.us-isob-east-1.sc2s.sgov.gov",
            ),
            (
                "eusc-de-east-1",
                false,
                false,
                "https://ec2.eusc-de-east-1.amazonaws.eu",
            ),
        ] {
            assert_eq!(host(region, fips, dual), expected);
        }
    }
}
