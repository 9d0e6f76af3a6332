//! What a subscriber asks for: the bodies of `PUT /2022-07-01/telemetry` and `PUT /2020-08-15/logs`, checked.

use std::time::Duration;

use hearth_types::limits::{
    TELEMETRY_BYTES, TELEMETRY_BYTES_DEFAULT, TELEMETRY_ITEMS, TELEMETRY_ITEMS_DEFAULT, TELEMETRY_TIMEOUT_DEFAULT_MS,
    TELEMETRY_TIMEOUT_MS,
};
use http::Method;
use http::uri::PathAndQuery;
use serde::Deserialize;
use serde_json::Value;

use super::buffer::Buffering;

/// Ports inside that are the platform's own: Runtime API, the server's API, names.
const OWN_PORTS: [u16; 3] = [9001, 4566, 53];
/// The names of a subscriber's own environment, as its `/etc/hosts` has them.
const HOSTS: [&str; 2] = ["sandbox", "sandbox.localdomain"];

/// Which of the two interfaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Api {
    Telemetry,
    Logs,
}

/// The form of the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Telemetry API; `objects`: lines of JSON functions are objects, since 2022-12-13.
    Telemetry { objects: bool },
    /// Logs API; `runtime_done`: has `platform.runtimeDone`, since 2021-03-18.
    Logs { runtime_done: bool },
}

/// Whose events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Platform,
    Function,
    Extension,
}

/// Where they go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Destination {
    /// A JSON array per batch.
    Http { method: Method, host: String, port: u16, path: PathAndQuery },
    /// A line per event.
    Tcp { port: u16 },
}

/// A subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Subscription {
    pub(crate) form: Form,
    /// At least one, none twice.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) buffering: Buffering,
    pub(crate) destination: Destination,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    schema_version: Option<String>,
    types: Option<Vec<Kind>>,
    #[serde(default)]
    buffering: Option<GivenBuffering>,
    destination: Option<GivenDestination>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GivenBuffering {
    max_items: Option<Value>,
    max_bytes: Option<Value>,
    timeout_ms: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenDestination {
    protocol: Option<String>,
    #[serde(rename = "URI")]
    uri: Option<String>,
    port: Option<Value>,
    method: Option<String>,
    encoding: Option<String>,
}

impl Api {
    /// The interface at a path of the Runtime API.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/2022-07-01/telemetry" => Some(Self::Telemetry),
            "/2020-08-15/logs" => Some(Self::Logs),
            _ => None,
        }
    }

    /// The form that a schema version means. Without one, the Logs API has its first.
    fn form(self, version: Option<&str>) -> Result<Form, String> {
        let (form, known) = match (self, version) {
            (Self::Telemetry, Some("2022-07-01")) => (Form::Telemetry { objects: false }, ""),
            (Self::Telemetry, Some("2022-12-13" | "2025-01-29")) => (Form::Telemetry { objects: true }, ""),
            (Self::Logs, Some("2020-08-15") | None) => (Form::Logs { runtime_done: false }, ""),
            (Self::Logs, Some("2021-03-18")) => (Form::Logs { runtime_done: true }, ""),
            (Self::Telemetry, _) => (Form::Telemetry { objects: false }, "2022-07-01, 2022-12-13 or 2025-01-29"),
            (Self::Logs, _) => (Form::Logs { runtime_done: false }, "2020-08-15 or 2021-03-18"),
        };
        match (known, version) {
            ("", _) => Ok(form),
            (known, None) => Err(format!("schemaVersion is missing: it must be {known}")),
            (known, Some(given)) => Err(format!("schemaVersion {given:?} is not known: it must be {known}")),
        }
    }
}

impl Subscription {
    /// Checks a request's body.
    ///
    /// # Errors
    /// What is wrong with it, for the answer's `errorMessage`.
    pub(crate) fn parse(api: Api, body: &[u8]) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        Ok(Self {
            form: api.form(body.schema_version.as_deref())?,
            kinds: kinds(body.types.unwrap_or_default())?,
            buffering: body.buffering.unwrap_or_default().check()?,
            destination: body.destination.ok_or("destination is missing")?.check()?,
        })
    }
}

fn kinds(given: Vec<Kind>) -> Result<Vec<Kind>, String> {
    let mut kinds = Vec::with_capacity(3);
    for kind in given {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        Err("types must name at least one of platform, function, extension".to_owned())
    } else {
        Ok(kinds)
    }
}

impl GivenBuffering {
    fn check(&self) -> Result<Buffering, String> {
        let within = |name, value: &Option<Value>, (least, most): (u32, u32), default| match value {
            None => Ok(default),
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                number
                    .filter(|number| (least..=most).contains(number))
                    .ok_or_else(|| format!("buffering.{name} {value} is not a number from {least} to {most}"))
            }
        };
        let items = within("maxItems", &self.max_items, TELEMETRY_ITEMS, TELEMETRY_ITEMS_DEFAULT)?;
        let bytes = within("maxBytes", &self.max_bytes, TELEMETRY_BYTES, TELEMETRY_BYTES_DEFAULT)?;
        let timeout = within("timeoutMs", &self.timeout_ms, TELEMETRY_TIMEOUT_MS, TELEMETRY_TIMEOUT_DEFAULT_MS)?;
        Ok(Buffering {
            max_items: items as usize,
            max_bytes: bytes as usize,
            timeout: Duration::from_millis(u64::from(timeout)),
        })
    }
}

impl GivenDestination {
    fn check(self) -> Result<Destination, String> {
        if self.encoding.as_deref().is_some_and(|encoding| encoding != "JSON") {
            return Err("destination.encoding must be JSON".to_owned());
        }
        match self.protocol.as_deref() {
            Some("HTTP") => self.http(),
            Some("TCP") => self.tcp(),
            Some(other) => Err(format!("destination.protocol {other:?} is not known: it must be HTTP or TCP")),
            None => Err("destination.protocol is missing: it must be HTTP or TCP".to_owned()),
        }
    }

    fn http(self) -> Result<Destination, String> {
        if self.port.is_some() {
            return Err("destination.port is of the protocol TCP only: with HTTP it is part of the URI".to_owned());
        }
        let method = match self.method.as_deref() {
            None | Some("POST") => Method::POST,
            Some("PUT") => Method::PUT,
            Some(other) => return Err(format!("destination.method {other:?} is not known: it must be POST or PUT")),
        };
        let given = self.uri.ok_or("destination.URI is missing")?;
        let uri: http::Uri = given.parse().map_err(|error| format!("destination.URI {given:?}: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("destination.URI {given:?} must begin with http://"));
        }
        let authority = uri.authority().map_or("", http::uri::Authority::as_str).to_ascii_lowercase();
        let (host, port) = authority.split_once(':').unwrap_or((&authority, "80"));
        if !HOSTS.contains(&host) {
            return Err(format!("destination.URI {given:?}: the host must be sandbox.localdomain"));
        }
        let host = host.to_owned();
        let port = free_port("destination.URI", port.parse().unwrap_or(0))?;
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Destination::Http { method, host, port, path })
    }

    fn tcp(self) -> Result<Destination, String> {
        if self.uri.is_some() || self.method.is_some() {
            return Err("destination.URI and destination.method are of the protocol HTTP only".to_owned());
        }
        let given = self.port.ok_or("destination.port is missing")?;
        let port = given.as_u64().ok_or_else(|| format!("destination.port {given} is not a number"))?;
        free_port("destination.port", port).map(|port| Destination::Tcp { port })
    }
}

/// A port at which a subscriber can listen.
fn free_port(member: &str, given: u64) -> Result<u16, String> {
    match u16::try_from(given) {
        Ok(port) if OWN_PORTS.contains(&port) => Err(format!("{member}: port {port} is the platform's own")),
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{member}: port {given} is not a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(api: Api, change: impl FnOnce(&mut Value)) -> Result<Subscription, String> {
        let mut body = json!({
            "schemaVersion": if api == Api::Logs { "2021-03-18" } else { "2022-12-13" },
            "types": ["platform", "function"],
            "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/path?a=b"},
        });
        change(&mut body);
        Subscription::parse(api, body.to_string().as_bytes())
    }

    fn telemetry(change: impl FnOnce(&mut Value)) -> Result<Subscription, String> {
        parse(Api::Telemetry, change)
    }

    #[test]
    fn what_is_left_out_has_lambdas_defaults() {
        assert_eq!(
            telemetry(|_| {}).unwrap(),
            Subscription {
                form: Form::Telemetry { objects: true },
                kinds: vec![Kind::Platform, Kind::Function],
                buffering: Buffering { max_items: 10_000, max_bytes: 262_144, timeout: Duration::from_secs(1) },
                destination: Destination::Http {
                    method: Method::POST,
                    host: "sandbox.localdomain".to_owned(),
                    port: 8080,
                    path: PathAndQuery::from_static("/path?a=b"),
                },
            }
        );
        let plain = telemetry(|body| body["destination"]["URI"] = json!("http://sandbox")).unwrap();
        let (host, path) = ("sandbox".to_owned(), PathAndQuery::from_static("/"));
        assert_eq!(plain.destination, Destination::Http { method: Method::POST, host, port: 80, path });
        let tcp = telemetry(|body| body["destination"] = json!({"protocol": "TCP", "port": 4243})).unwrap();
        assert_eq!(tcp.destination, Destination::Tcp { port: 4243 });
    }

    #[test]
    fn schema_versions_are_those_of_each_interface() {
        let of = |api, version: Value| parse(api, |body| body["schemaVersion"] = version).map(|given| given.form);
        assert_eq!(of(Api::Telemetry, json!("2022-07-01")), Ok(Form::Telemetry { objects: false }));
        assert_eq!(of(Api::Telemetry, json!("2025-01-29")), Ok(Form::Telemetry { objects: true }));
        assert!(of(Api::Telemetry, json!("2021-03-18")).unwrap_err().contains("2022-07-01, 2022-12-13 or 2025-01-29"));
        assert!(of(Api::Telemetry, Value::Null).unwrap_err().starts_with("schemaVersion is missing"));
        assert_eq!(of(Api::Logs, json!("2021-03-18")), Ok(Form::Logs { runtime_done: true }));
        assert_eq!(of(Api::Logs, Value::Null), Ok(Form::Logs { runtime_done: false }));
        assert!(of(Api::Logs, json!("2022-12-13")).is_err());
    }

    #[test]
    fn buffers_are_within_lambdas_bounds() {
        let of = |member: &str, value: Value| telemetry(|body| body["buffering"] = json!({ member: value }));
        for (member, least, most) in
            [("maxItems", 1000, 10_000), ("maxBytes", 262_144, 1_048_576), ("timeoutMs", 25, 30_000)]
        {
            assert!(of(member, json!(least)).is_ok() && of(member, json!(most)).is_ok(), "{member}");
            for wrong in [json!(least - 1), json!(most + 1), json!(-1), json!("many"), json!(1e300), json!(2000.5)] {
                let error = of(member, wrong).unwrap_err();
                assert!(
                    error.contains(&format!("buffering.{member}")) && error.contains(&format!("{least} to {most}"))
                );
            }
        }
        assert!(of("maxSize", json!(1)).unwrap_err().contains("maxSize"));
    }

    #[test]
    fn nothing_but_a_listener_of_the_environment_is_a_destination() {
        for wrong in [
            "https://sandbox.localdomain:8080",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://169.254.169.254/",
            "http://[::1]:8080",
            "http://sandbox.localdomain.example.com:8080",
            "http://sandbox.localdomain@example.com:8080",
            "http://me@sandbox.localdomain:8080",
            "http://sandbox.localdomain:9001/2018-06-01/runtime/invocation/next",
            "http://sandbox.localdomain:4566",
            "http://sandbox.localdomain:0",
            "http://sandbox.localdomain:65536",
            "sandbox.localdomain:8080",
            "/path",
            "",
        ] {
            let refused = telemetry(|body| body["destination"]["URI"] = json!(wrong)).unwrap_err();
            assert!(refused.starts_with("destination.URI"), "{wrong}: {refused}");
        }
        for wrong in [json!(0), json!(9001), json!(65536), json!("4243"), json!(-1), json!(null)] {
            assert!(telemetry(|body| body["destination"] = json!({"protocol": "TCP", "port": wrong})).is_err());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |change: fn(&mut Value)| telemetry(change).unwrap_err();
        assert!(refused(|body| body["types"] = json!([])).contains("types"));
        assert!(refused(|body| body["types"] = json!(["runtime"])).contains("runtime"));
        assert!(refused(|body| body["other"] = json!(1)).contains("other"));
        assert!(refused(|body| body["destination"] = json!(null)).contains("destination is missing"));
        assert!(refused(|body| body["destination"]["protocol"] = json!("UDP")).contains("UDP"));
        assert!(refused(|body| body["destination"]["method"] = json!("GET")).contains("GET"));
        assert!(refused(|body| body["destination"]["encoding"] = json!("XML")).contains("encoding"));
        assert!(Subscription::parse(Api::Logs, b"{").is_err());
        let twice = telemetry(|body| body["types"] = json!(["function", "function"])).unwrap();
        assert_eq!(twice.kinds, [Kind::Function]);
    }
}
