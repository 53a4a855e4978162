//! How targets are asked whether they are well.

use super::{
    reader::{PREFIX, Reader},
    wishes::{HealthPort, HealthWishes, Wishes},
};
use crate::words::Probe;

pub(super) fn health(reader: &mut Reader<'_>, wishes: &mut Wishes) {
    // The existing controllers take the word in either case.
    let protocol = reader
        .text("healthcheck-protocol")
        .map(|text| text.to_lowercase());
    let word = Probe::ALL
        .iter()
        .copied()
        .find(|word| Some(word.as_str()) == protocol.as_deref());
    if let (Some(protocol), None) = (&protocol, word) {
        reader.ill(
            "healthcheck-protocol",
            format!("is {protocol:?}; it takes one of: tcp, http, https"),
        );
    }
    let port = reader
        .text("healthcheck-port")
        .map(|text| match text.parse::<u16>() {
            _ if text == "traffic-port" => HealthPort::Traffic,
            Ok(number) if number > 0 => HealthPort::Number(number),
            _ => HealthPort::Named(text),
        });
    if let Some(HealthPort::Named(text)) = &port
        && text.chars().all(|letter| letter.is_ascii_digit())
    {
        reader.ill(
            "healthcheck-port",
            format!("is {text}; ports go from 1 to 65535"),
        );
    }
    let path = reader.text("healthcheck-path");
    if path
        .as_ref()
        .is_some_and(|path| !path.starts_with('/') || path.len() > 1024)
    {
        reader.ill(
            "healthcheck-path",
            "must begin with / and have at most 1024 letters",
        );
    }
    wishes.health = HealthWishes {
        protocol: word,
        port,
        path,
        interval: reader.number("healthcheck-interval", 5..=300),
        timeout: reader.number("healthcheck-timeout", 2..=120),
        healthy: reader.number("healthcheck-healthy-threshold", 2..=10),
        unhealthy: reader.number("healthcheck-unhealthy-threshold", 2..=10),
        codes: reader.text("healthcheck-success-codes"),
    };
    let timing = (wishes.health.timeout, wishes.health.interval);
    if let (Some(timeout), Some(interval)) = timing
        && timeout > interval
    {
        reader.contradiction(format!("{PREFIX}healthcheck-timeout ({timeout}) is longer than {PREFIX}healthcheck-interval ({interval})"));
    }
}
