//! What a request asks for: its path, its query and its headers, read once.
//!
//! Follows `k8s.io/apiserver/pkg/endpoints/request.RequestInfo`.

use http::{HeaderMap, Method, Uri};
use hyper::body::Bytes;

/// A request with its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The decoded query parameters, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// A path below `/api/v1` or `/apis/GROUP/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    /// Empty for cluster-scoped resources and for lists over all namespaces.
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Request {
    /// Puts the parts together.
    pub(crate) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            method,
            path: uri.path().to_owned(),
            query: Query::parse(uri.query().unwrap_or_default()),
            headers,
            body,
        }
    }

    /// A header as text, or the empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> &str {
        self.header("content-type")
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }
}

impl Query {
    /// Decodes `a=b&c=d`.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The first value of a key, unless it is empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a key was given, even without a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// A boolean as Go's query conversion reads it: given and neither `false` nor `0`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.is_some_and(|(_, value)| !matches!(value.as_str(), "false" | "0"))
    }

    /// All values of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

impl Target {
    /// Reads a path; none if it does not lead to a resource.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| decode(part, false))
            .collect();
        let mut parts = parts.into_iter();
        let (group, version) = match parts.next()?.as_str() {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let rest: Vec<String> = parts.collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (namespace, rest) = match rest.as_slice() {
            // namespaces/NAME, namespaces/NAME/status and /finalize are about the namespace itself.
            ["namespaces", name, tail @ ..] if !matches!(tail, [] | ["status" | "finalize"]) => {
                (*name, tail)
            }
            other => ("", other),
        };
        let (plural, tail) = rest.split_first()?;
        let (name, subresource) = match tail {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, sub @ ..] => (Some(*name), Some(sub.join("/"))),
        };
        Some(Self {
            group,
            version,
            namespace: namespace.to_owned(),
            plural: (*plural).to_owned(),
            name: name.map(str::to_owned),
            subresource,
        })
    }
}

/// Percent-decodes; in a query `+` is a space.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let pair = ahead.next().zip(ahead.next()).and_then(|(high, low)| {
                    let high = char::from(high).to_digit(16)?;
                    let low = char::from(low).to_digit(16)?;
                    u8::try_from(high * 16 + low).ok()
                });
                match pair {
                    Some(decoded) => {
                        out.push(decoded);
                        bytes = ahead;
                    }
                    None => out.push(byte),
                }
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_resources() {
        let target =
            |group: &str, version: &str, namespace: &str, plural: &str, name: &str, sub: &str| {
                let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                Some(Target {
                    group: group.into(),
                    version: version.into(),
                    namespace: namespace.into(),
                    plural: plural.into(),
                    name: some(name),
                    subresource: some(sub),
                })
            };
        let cases = [
            ("/api/v1/services", target("", "v1", "", "services", "", "")),
            (
                "/api/v1/namespaces/a/services/b/status",
                target("", "v1", "a", "services", "b", "status"),
            ),
            (
                "/api/v1/namespaces/a",
                target("", "v1", "", "namespaces", "a", ""),
            ),
            (
                "/api/v1/namespaces/a/status",
                target("", "v1", "", "namespaces", "a", "status"),
            ),
            (
                "/apis/herald.dev/v1alpha1/addresspools/lan",
                target("herald.dev", "v1alpha1", "", "addresspools", "lan", ""),
            ),
            ("/apis/apps/v1", None),
            ("/healthz", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Target::parse(path), expected, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query =
            Query::parse("fieldSelector=spec.type%3DLoadBalancer&watch=1&x=a+b&force=false&y");
        assert_eq!(query.get("fieldSelector"), Some("spec.type=LoadBalancer"));
        assert!(query.flag("watch") && !query.flag("force") && query.flag("y"));
        assert_eq!(query.get("x"), Some("a b"));
        assert_eq!(query.get("y"), None);
    }
}
