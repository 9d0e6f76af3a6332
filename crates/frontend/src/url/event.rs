//! From an HTTP request to the event of payload format 2.0.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_types::{RequestId, UrlHost};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use jiff::Timestamp;
use serde::Serialize;

/// The only route, and the only stage.
const DEFAULT: &str = "$default";

/// Headers that belong to one connection, and what senders say of the way that a request took: the service knows that
/// itself.
const NOT_PASSED: [&str; 14] = [
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amzn-tls-cipher-suite",
    "x-amzn-tls-version",
    "x-amzn-trace-id",
];

/// One HTTP request to a function URL.
#[derive(Clone, Copy, Debug)]
pub struct UrlRequest<'a> {
    /// Method, path, query, headers.
    pub head: &'a http::request::Parts,
    /// The whole body.
    pub body: &'a Bytes,
    /// Where it was sent to.
    pub host: &'a UrlHost,
    /// Who is at the other end of the connection.
    pub source: IpAddr,
    /// Made for this request; logs and headers show it.
    pub id: RequestId,
    /// When it came: time since 1970.
    pub time: Duration,
    /// As the function's environment has it: `Root=...;Parent=...;Sampled=...`.
    pub trace_id: &'a str,
    /// Who signed it, where callers sign.
    pub signer: Option<&'a Signer>,
}

/// Who signed a request: `authorizer.iam`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// The access key id.
    pub access_key: String,
    /// 12 digits.
    pub account_id: String,
    /// The id of the user, or that of the role with the session's name.
    pub caller_id: String,
    /// Nobody signs with one here.
    pub cognito_identity: (),
    /// There are no organizations here.
    pub principal_org_id: (),
    /// The ARN of the user or of the session.
    pub user_arn: String,
    /// As `caller_id`.
    pub user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<BTreeMap<Cow<'a, str>, String>>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: String,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: String,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    iam: &'a Signer,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: String,
}

impl UrlRequest<'_> {
    /// The event, as JSON.
    #[must_use]
    pub fn event(&self) -> Bytes {
        let headers = &self.head.headers;
        let path = decoded_where_safe(self.head.uri.path());
        let query = self.head.uri.query().unwrap_or_default();
        let body = (!self.body.is_empty()).then(|| body(headers, self.body));
        let event = Event {
            version: "2.0",
            route_key: DEFAULT,
            raw_path: &path,
            raw_query_string: query,
            cookies: cookies(headers),
            headers: self.headers(),
            query_string_parameters: parameters(query),
            request_context: self.context(&path),
            is_base64_encoded: body.as_ref().is_some_and(|(_, is_base64)| *is_base64),
            body: body.map(|(text, _)| text),
        };
        // Text keys and texts: writing them cannot fail.
        let written = serde_json::to_vec(&event);
        debug_assert!(written.is_ok());
        written.unwrap_or_default().into()
    }

    fn context<'a>(&'a self, path: &'a str) -> RequestContext<'a> {
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
        let head = self.head;
        RequestContext {
            account_id: self.signer.map_or("anonymous", |signer| &signer.account_id),
            api_id: &self.host.id,
            authorizer: self.signer.map(|iam| Authorizer { iam }),
            domain_name: self.domain_name(),
            domain_prefix: &self.host.id,
            http: Http {
                method: head.method.as_str(),
                path,
                protocol: protocol(head.version),
                source_ip: self.source.to_canonical().to_string(),
                user_agent: head.headers.get(header::USER_AGENT).map(text).unwrap_or_default(),
            },
            request_id: self.id.to_string(),
            route_key: DEFAULT,
            stage: DEFAULT,
            time: time.unwrap_or(Timestamp::UNIX_EPOCH).strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
            time_epoch: millis,
        }
    }

    /// As the Host header has it: links that are made of it lead back here, so it has the port that is in the URL.
    fn domain_name(&self) -> String {
        self.host_header().map_or_else(|| self.host.name(), |host| host.to_ascii_lowercase())
    }

    fn host_header(&self) -> Option<String> {
        self.head.headers.get(header::HOST).map(text)
    }

    /// Names in lower case, values that come several times joined, and what the service knows of the way here.
    fn headers(&self) -> BTreeMap<&str, String> {
        let given = &self.head.headers;
        let mut all: BTreeMap<&str, String> = BTreeMap::new();
        for name in given.keys().filter(|name| self.passes(name)) {
            let values: Vec<String> = given.get_all(name).iter().map(text).collect();
            all.insert(name.as_str(), values.join(","));
        }
        let host = self.host_header().unwrap_or_default();
        let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
        // Functions look these up; there is no TLS to speak of.
        all.insert("x-amzn-tls-cipher-suite", "none".to_owned());
        all.insert("x-amzn-tls-version", "none".to_owned());
        all.insert("x-amzn-trace-id", self.trace_id.to_owned());
        all.insert("x-forwarded-for", self.source.to_canonical().to_string());
        all.insert("x-forwarded-port", port.to_owned());
        all.insert("x-forwarded-proto", "http".to_owned());
        all
    }

    fn passes(&self, name: &HeaderName) -> bool {
        let is_connections = |name: &str| NOT_PASSED.contains(&name) || name.starts_with("x-forwarded-");
        // What was signed for the service is not for the function.
        let is_signature = self.signer.is_some() && name == header::AUTHORIZATION;
        !is_signature && !is_connections(name.as_str()) && !is_named_by_connection(&self.head.headers, name)
    }
}

/// Whether the sender says that a header is for this connection only.
fn is_named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|named| named.trim().eq_ignore_ascii_case(name.as_str()))
}

/// A header's value. Bytes that are no text are taken for what they were before there was UTF-8.
fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned)
}

fn protocol(version: Version) -> &'static str {
    if version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(header::COOKIE).iter().map(text).collect::<Vec<_>>().join(";");
    all.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()).map(str::to_owned).collect()
}

/// Decoded; values of one name joined. None where there are none.
fn parameters(query: &str) -> Option<BTreeMap<Cow<'_, str>, String>> {
    let mut all: BTreeMap<Cow<'_, str>, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        all.entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    (!all.is_empty()).then_some(all)
}

/// A path with its percent codes of letters, digits and `-._~` decoded; other ones, and what is no code, stay (observed).
fn decoded_where_safe(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                out.push_str(&part[2..]);
            }
            _ => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    Cow::Owned(out)
}

/// The body as the event has it, and whether that is base64: of all that is not said to be text, or is none.
fn body<'a>(headers: &HeaderMap, body: &'a [u8]) -> (Cow<'a, str>, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if is_text(headers) => (Cow::Borrowed(text), false),
        _ => (Cow::Owned(STANDARD.encode(body)), true),
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = kind.starts_with("text/")
        || matches!(&*kind, "application/json" | "application/xml" | "application/javascript")
        || (kind.starts_with("application/") && (kind.ends_with("+json") || kind.ends_with("+xml")));
    is_text && !headers.contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const HOST: &str = "abc.lambda-url.us-east-1.localhost";
    const TRACE: &str = "Root=1-65f0a1b2-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0";

    fn signer() -> Signer {
        Signer {
            access_key: "AKIA1".to_owned(),
            account_id: "000000000000".to_owned(),
            caller_id: "AIDA1".to_owned(),
            cognito_identity: (),
            principal_org_id: (),
            user_arn: "arn:aws:iam::000000000000:user/ann".to_owned(),
            user_id: "AIDA1".to_owned(),
        }
    }

    fn event_of(method: &str, uri: &str, headers: &[(&str, &[u8])], body: &[u8], signer: Option<&Signer>) -> Value {
        let mut request = Request::builder().method(method).uri(uri).header("host", format!("{HOST}:4566"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let request = UrlRequest {
            head: &head,
            body: &Bytes::copy_from_slice(body),
            host: &UrlHost::parse(HOST).unwrap(),
            source: "::ffff:127.0.0.1".parse().unwrap(),
            id: RequestId(Uuid::nil()),
            time: Duration::from_millis(1_710_270_238_390),
            trace_id: TRACE,
            signer,
        };
        serde_json::from_slice(&request.event()).unwrap()
    }

    fn get(uri: &str) -> Value {
        event_of("GET", uri, &[], b"", None)
    }

    fn with(headers: &[(&str, &[u8])]) -> Value {
        event_of("GET", "/", headers, b"", None)
    }

    #[test]
    fn the_least_request_has_these_members() {
        let headers = json!({
            "host": format!("{HOST}:4566"), "x-amzn-tls-cipher-suite": "none", "x-amzn-tls-version": "none",
            "x-amzn-trace-id": TRACE, "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566", "x-forwarded-proto": "http",
        });
        let context = json!({
            "accountId": "anonymous", "apiId": "abc", "domainName": format!("{HOST}:4566"), "domainPrefix": "abc",
            "http": {"method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
            "requestId": Uuid::nil().to_string(), "routeKey": "$default", "stage": "$default",
            "time": "12/Mar/2024:19:03:58 +0000", "timeEpoch": 1_710_270_238_390_u64,
        });
        let expected = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": headers,
            "requestContext": context, "isBase64Encoded": false,
        });
        assert_eq!(get("/"), expected);
    }

    #[test]
    fn queries_are_decoded_and_joined() {
        let event = get("/p?multiQuery=foo&multiQuery=%2Fbar&q=query&e&s=a+b%20c&%C3%A4=%ff%zz");
        assert_eq!(event["rawQueryString"], "multiQuery=foo&multiQuery=%2Fbar&q=query&e&s=a+b%20c&%C3%A4=%ff%zz");
        let expected = json!({"multiQuery": "foo,/bar", "q": "query", "e": "", "s": "a b c", "\u{e4}": "\u{fffd}%zz"});
        assert_eq!(event["queryStringParameters"], expected);
        assert!(get("/p?").get("queryStringParameters").is_none());
    }

    #[test]
    fn paths_keep_their_codes_but_those_of_plain_characters() {
        for (given, kept) in [
            ("/pa2%Fth/1", "/pa2%Fth/1"),
            ("/a%20b%2Fc%2f", "/a%20b%2Fc%2f"),
            ("/%41%7e%2E%2e/%", "/A~../%"),
            ("/%C3%A4%4", "/%C3%A4%4"),
            ("/%%41\u{e4}", "/%A\u{e4}"),
        ] {
            let event = get(given);
            assert_eq!((&event["rawPath"], &event["requestContext"]["http"]["path"]), (&json!(kept), &json!(kept)));
        }
    }

    #[test]
    fn headers_are_joined_and_those_of_the_way_are_the_services() {
        let event = with(&[
            ("X-A", b"v1"),
            ("x-a", b"v2"),
            ("Extra-Headers", b"With WeiRd CapS"),
            ("x-latin", b"\xe9"),
            ("x-utf8", "\u{e9}".as_bytes()),
            ("X-Forwarded-For", b"6.6.6.6"),
            ("x-forwarded-proto", b"https"),
            ("x-forwarded-host", b"evil.example"),
            ("forwarded", b"for=6.6.6.6"),
            ("connection", b"keep-alive, X-Mine"),
            ("x-mine", b"1"),
            ("keep-alive", b"1"),
            ("te", b"trailers"),
            ("transfer-encoding", b"chunked"),
            ("authorization", b"Bearer x"),
            ("user-agent", b"test/1"),
        ]);
        let expected = json!({
            "authorization": "Bearer x", "extra-headers": "With WeiRd CapS", "host": format!("{HOST}:4566"),
            "user-agent": "test/1", "x-a": "v1,v2", "x-amzn-tls-cipher-suite": "none",
            "x-amzn-tls-version": "none", "x-amzn-trace-id": TRACE, "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566", "x-forwarded-proto": "http", "x-latin": "\u{e9}", "x-utf8": "\u{e9}",
        });
        assert_eq!(event["headers"], expected);
        assert_eq!(event["requestContext"]["http"]["userAgent"], "test/1");
    }

    #[test]
    fn cookies_stand_by_themselves() {
        let event = with(&[("cookie", b"c1=v1; c2=v2;"), ("cookie", b"c3")]);
        assert_eq!(event["cookies"], json!(["c1=v1", "c2=v2", "c3"]));
        assert!(event["headers"].get("cookie").is_none());
    }

    #[test]
    fn bodies_are_text_where_they_say_so_and_are() {
        let of = |kind: &[u8], body: &[u8]| {
            let event = event_of("POST", "/", &[("content-type", kind)], body, None);
            (event["body"].as_str().map(str::to_owned), event["isBase64Encoded"].as_bool().unwrap())
        };
        let kinds =
            ["text/plain", "TEXT/html; charset=utf-8", "application/json", "application/xml", "application/javascript"];
        for kind in kinds.into_iter().chain(["application/vnd.api+json", "application/atom+xml"]) {
            assert_eq!(of(kind.as_bytes(), b"{}"), (Some("{}".to_owned()), false), "{kind}");
        }
        for kind in [
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "image/png",
            "",
        ] {
            assert_eq!(of(kind.as_bytes(), b"{}"), (Some("e30=".to_owned()), true), "{kind}");
        }
        assert_eq!(of(b"text/plain", b"\xff"), (Some("/w==".to_owned()), true));
        assert_eq!(of(b"text/plain", b""), (None, false));
        let packed = [("content-type", &b"text/plain"[..]), ("content-encoding", b"gzip")];
        assert_eq!(event_of("POST", "/", &packed, b"x", None)["isBase64Encoded"], true);
    }

    proptest! {
        /// Whatever a sender sends: the event is JSON, and the body is in it.
        #[test]
        fn any_request_makes_an_event(
            path in "/[a-zA-Z0-9%._~:@!$&'()*+,;=/-]{0,20}",
            query in "[a-zA-Z0-9%._~:@!$&'()*+,;=/?-]{0,20}",
            names in proptest::collection::vec("[a-zA-Z-]{1,12}|cookie|connection|content-type", 0..5),
            value in "[ -~\u{80}-\u{fff}]{0,20}",
            body in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let headers: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), value.as_bytes())).collect();
            let event = event_of("POST", &format!("{path}?{query}"), &headers, &body, None);
            prop_assert_eq!(&event["rawQueryString"], &json!(query));
            let given = event["body"].as_str().unwrap_or_default();
            let is_base64 = event["isBase64Encoded"] == true;
            prop_assert_eq!(if is_base64 { STANDARD.decode(given).unwrap() } else { given.as_bytes().to_vec() }, body);
            let headers = event["headers"].as_object().unwrap();
            prop_assert!(headers.keys().all(|name| !["cookie", "connection"].contains(&name.as_str())));
            prop_assert_eq!(&headers["x-forwarded-for"], "127.0.0.1");
        }
    }

    #[test]
    fn who_signs_is_named() {
        let (signer, key) = (signer(), ("authorization", &b"AWS4-HMAC-SHA256 x"[..]));
        let event = event_of("PUT", "/", &[key], b"", Some(&signer));
        assert_eq!(event["requestContext"]["accountId"], "000000000000");
        let iam = json!({
            "accessKey": "AKIA1", "accountId": "000000000000", "callerId": "AIDA1", "cognitoIdentity": null,
            "principalOrgId": null, "userArn": "arn:aws:iam::000000000000:user/ann", "userId": "AIDA1",
        });
        assert_eq!(event["requestContext"]["authorizer"], json!({ "iam": iam }));
        assert!(event["headers"].get("authorization").is_none());
    }
}
