//! From what a function gave to an HTTP response.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_types::limits::URL_ANSWER_HEAD_BYTES;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;
use crate::url::compact::compact;
use crate::url::cookie;

/// Bytes that a header takes up beside its name and value: `: ` and the end of its line.
const PER_HEADER: usize = 4;

/// Headers that are the connection's. A function may name them; they are not passed on.
const NOT_PASSED: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amzn-requestid",
];

/// Headers as a function gives them.
pub(super) type GivenHeaders<'a> = BTreeMap<String, &'a RawValue>;

/// A response as a function describes it. What else it names does not count.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(borrow)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<GivenHeaders<'a>>,
    cookies: Option<Vec<String>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    is_base64_encoded: Option<bool>,
}

/// What is said of a response ahead of its body: in an object beside it, or in front of a stream.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// Why what a function gave is no HTTP response, for whoever wrote the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed(pub(super) &'static str);

/// The response that `payload` describes to the client of this host: an object with a `statusCode` member by member,
/// anything else as the body of a 200.
///
/// # Errors
/// For what is no JSON, a status that is none, a header that cannot be one, a body that is no base64 though it says so.
pub(super) fn answer(payload: &[u8], host: &str) -> Result<Response<Bytes>, Malformed> {
    const NO_JSON: Malformed = Malformed("it is no JSON");
    json::check(payload).map_err(|_| NO_JSON)?;
    let text = std::str::from_utf8(payload).map_err(|_| NO_JSON)?.trim_matches([' ', '\t', '\n', '\r']);
    if has_status(text)? {
        return described(text, host);
    }
    let mut response = Response::new(Bytes::from(bare(text)?));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The same where nothing streams, though it might: a response is taken as such, anything else goes out as it is.
pub(super) fn unstreamed(payload: Bytes, host: &str) -> Result<Response<Bytes>, Malformed> {
    let is_json = json::check(&payload).is_ok();
    let text = std::str::from_utf8(&payload).ok().filter(|_| is_json);
    if let Some(text) = text
        && has_status(text)?
    {
        return described(text, host);
    }
    let mut response = Response::new(payload);
    let kind = if is_json { "application/json" } else { "application/octet-stream" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn described(text: &str, host: &str) -> Result<Response<Bytes>, Malformed> {
    let types = Malformed("statusCode, headers, cookies, body or isBase64Encoded is of another type, or there twice");
    let described: Described<'_> = serde_json::from_str(text).map_err(|_| types)?;
    let body = body(described.body, described.is_base64_encoded == Some(true))?;
    let mut head = Head::read(described.status_code, described.headers, described.cookies, host)?;
    head.headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(head.with(body))
}

/// Whether a value describes a response.
fn has_status(json: &str) -> Result<bool, Malformed> {
    #[derive(Deserialize)]
    struct Status<'a> {
        #[serde(rename = "statusCode", borrow)]
        code: Option<&'a RawValue>,
    }
    if !json.trim_start().starts_with('{') {
        return Ok(false);
    }
    let status = serde_json::from_str::<Status<'_>>(json).map_err(|_| Malformed("statusCode is there twice"))?;
    Ok(status.code.is_some())
}

/// A value that is no response: a text as it is, anything else as JSON.
fn bare(json: &str) -> Result<String, Malformed> {
    if !json.starts_with('"') {
        return Ok(compact(json));
    }
    serde_json::from_str(json).map_err(|_| Malformed("a text has half a character"))
}

/// The body: a text; what is no text, as JSON.
fn body(given: Option<&RawValue>, is_base64: bool) -> Result<Bytes, Malformed> {
    let Some(given) = given else { return Ok(Bytes::new()) };
    let text = bare(given.get())?;
    if !is_base64 {
        return Ok(text.into());
    }
    STANDARD.decode(text).map(Bytes::from).map_err(|_| Malformed("the body is no base64"))
}

impl Head {
    pub(super) fn read(
        status: Option<&RawValue>,
        given: Option<GivenHeaders<'_>>,
        cookies: Option<Vec<String>>,
        host: &str,
    ) -> Result<Self, Malformed> {
        let status = status.map_or(Ok(StatusCode::OK), |status| self::status(status.get()))?;
        let mut headers = HeaderMap::new();
        let mut bytes = 0;
        let mut value_of = |name: &HeaderName, text: &str| {
            bytes += name.as_str().len() + text.len() + PER_HEADER;
            if bytes > URL_ANSWER_HEAD_BYTES {
                return Err(Malformed("the headers are too long"));
            }
            HeaderValue::from_bytes(text.as_bytes()).map_err(|_| Malformed("a header has a value that none can have"))
        };
        for (name, value) in given.unwrap_or_default() {
            let Some(value) = header_text(value.get())? else { continue };
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Malformed("a header has a name that none can have"))?;
            if NOT_PASSED.contains(&name.as_str()) {
                continue;
            }
            let value = if name == header::SET_COOKIE { cookie::own(&value, host) } else { value };
            let value = value_of(&name, &value)?;
            headers.insert(name, value);
        }
        for cookie in cookies.unwrap_or_default() {
            headers.append(header::SET_COOKIE, value_of(&header::SET_COOKIE, &cookie::own(&cookie, host))?);
        }
        Ok(Self { status, headers })
    }

    /// The whole response; where its status allows no body, without: a client would take it for the next answer.
    pub(super) fn with<B: Default>(self, body: B) -> Response<B> {
        let is_empty =
            matches!(self.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = Response::new(if is_empty { B::default() } else { body });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A number of 200 to 599, or its digits as a text.
fn status(json: &str) -> Result<StatusCode, Malformed> {
    let digits = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    let code = digits.parse::<u16>().ok().filter(|code| (200..600).contains(code) && !digits.starts_with('+'));
    code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed("statusCode is none of 200 to 599"))
}

/// A header's value from a text, a number or a truth; null is none at all.
fn header_text(json: &str) -> Result<Option<String>, Malformed> {
    match json.as_bytes() {
        [b'n', ..] => Ok(None),
        [b'[' | b'{', ..] => Err(Malformed("a header is a list or an object")),
        _ => bare(json).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const HOST: &str = "id.lambda-url.us-east-1.localhost";

    fn shown(payload: &str) -> Option<(u16, Vec<String>, String)> {
        let response = answer(payload.as_bytes(), HOST).ok()?;
        let headers = response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        Some((response.status().as_u16(), headers.collect(), body))
    }

    fn is(payload: &str, status: u16, headers: &[&str], body: &str) {
        let headers = headers.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(shown(payload), Some((status, headers, body.to_owned())), "{payload}");
    }

    const JSON: &str = "content-type: application/json";

    #[test]
    fn bare_values_are_bodies() {
        for (payload, body) in [
            ("true", "true"),
            (" 3.1\n", "3.1"),
            ("3", "3"),
            ("null", "null"),
            ("\"hello\"", "hello"),
            ("\"\\u00e9 \\\"\"", "\u{e9} \""),
            ("[\"hello\", 3, true]", "[\"hello\",3,true]"),
            ("{\"hello\": \"world\"}", "{\"hello\":\"world\"}"),
            ("{\"body\": \"x\", \"headers\": {}}", "{\"body\":\"x\",\"headers\":{}}"),
            ("{}", "{}"),
            ("{\"statusCode\": null}", "{\"statusCode\":null}"),
        ] {
            is(payload, 200, &[JSON], body);
        }
    }

    #[test]
    fn responses_are_taken_member_by_member() {
        is(r#"{"statusCode":200,"body":"body123"}"#, 200, &[JSON], "body123");
        is(r#"{"statusCode":200,"body":"{\"hello\": \"world\"}"}"#, 200, &[JSON], "{\"hello\": \"world\"}");
        is(r#"{"statusCode":201}"#, 201, &[JSON], "");
        is(r#"{"statusCode":"404","body":null,"headers":null,"cookies":null}"#, 404, &[JSON], "");
        is(r#"{"statusCode":200,"body":{"a": [1]}}"#, 200, &[JSON], r#"{"a":[1]}"#);
        is(r#"{"statusCode":200,"body":7}"#, 200, &[JSON], "7");
        is(r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#, 200, &[JSON], "hi");
        is(r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":false,"other":[{}]}"#, 200, &[JSON], "aGk=");
        let text = r#"{"statusCode":302,"headers":{"Content-Type":"text/html","X-N":1,"X-T":true,"X-Null":null}}"#;
        is(text, 302, &["content-type: text/html", "x-n: 1", "x-t: true"], "");
        let text = r#"{"statusCode":200,"cookies":["a=1; Path=/","b=2; Domain=localhost"],"headers":{"Set-Cookie":"c=3;Domain=x"}}"#;
        is(text, 200, &["set-cookie: c=3", "set-cookie: a=1; Path=/", "set-cookie: b=2", JSON], "");
    }

    #[test]
    fn headers_of_the_connection_are_not_the_functions() {
        let headers = json!({
            "Content-Length": "3", "Transfer-Encoding": "chunked", "Connection": "close", "Upgrade": "h2c", "TE": "x",
            "Keep-Alive": "1", "Trailer": "x", "Proxy-Connection": "x", "x-amzn-RequestId": "forged", "X-Own": "1",
        });
        let payload = json!({"statusCode": 200, "headers": headers, "body": "hello"}).to_string();
        is(&payload, 200, &["x-own: 1", JSON], "hello");
    }

    #[test]
    fn what_has_no_body_gets_none() {
        for status in [204, 205, 304] {
            is(&format!(r#"{{"statusCode":{status},"body":"x"}}"#), status, &[JSON], "");
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        let statuses =
            ["99", "100", "101", "600", "1000", "\"abc\"", "\"\"", "-200", "2e2", "200.5", "[200]", "true", "\"+200\""];
        for status in statuses {
            assert_eq!(shown(&format!(r#"{{"statusCode":{status}}}"#)), None, "{status}");
        }
        for rest in [
            r#""headers":[]"#,
            r#""headers":"x""#,
            r#""headers":{"x":["a"]}"#,
            r#""headers":{"x":{}}"#,
            r#""headers":{"x y":"a"}"#,
            r#""headers":{"":"a"}"#,
            r#""headers":{"x\r\ny":"a"}"#,
            r#""headers":{"x":"a\r\nset-cookie: b"}"#,
            r#""headers":{"x":"a\u0000"}"#,
            r#""cookies":"a=b""#,
            r#""cookies":[1]"#,
            r#""cookies":["a=b\nc"]"#,
            r#""body":"no base64!","isBase64Encoded":true"#,
            r#""isBase64Encoded":"yes""#,
            r#""statusCode":200"#,
        ] {
            assert_eq!(shown(&format!(r#"{{"statusCode":200,{rest}}}"#)), None, "{rest}");
        }
        for payload in ["", "hello", "{", "\"\\ud800\"", "{\"statusCode\":200}x"] {
            assert_eq!(shown(payload), None, "{payload}");
        }
        assert_eq!(answer(b"\"\xff\"", HOST).unwrap_err(), Malformed("it is no JSON"));
    }

    #[test]
    fn a_head_has_a_bound() {
        let headers =
            |value: usize| json!({"statusCode": 200, "headers": {"x": "y".repeat(value - 5)}, "body": ""}).to_string();
        assert!(shown(&headers(URL_ANSWER_HEAD_BYTES)).is_some());
        assert!(shown(&headers(URL_ANSWER_HEAD_BYTES + 1)).is_none());
        let cookies = vec!["a=b"; URL_ANSWER_HEAD_BYTES / 10];
        assert!(shown(&json!({"statusCode": 200, "cookies": cookies}).to_string()).is_none());
    }

    proptest! {
        /// Whatever a function gives: what is passed on is a response as HTTP has it.
        #[test]
        fn nothing_else_gets_through(
            status in prop_oneof![Just(json!(200)), any::<i32>().prop_map(Value::from), any::<String>().prop_map(Value::from)],
            headers in proptest::collection::btree_map(".{0,8}|[a-z-]{1,8}", any::<String>(), 0..4),
            cookies in proptest::collection::vec(any::<String>(), 0..3),
            body in any::<String>(),
            is_base64 in any::<bool>(),
        ) {
            let given = json!({
                "statusCode": status, "headers": headers, "cookies": cookies, "body": body, "isBase64Encoded": is_base64,
            });
            if let Ok(response) = answer(given.to_string().as_bytes(), HOST) {
                prop_assert!((200..600).contains(&response.status().as_u16()));
                let is_clean = |value: &HeaderValue| value.as_bytes().iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0));
                prop_assert!(response.headers().values().all(is_clean));
                prop_assert!(NOT_PASSED.iter().all(|name| !response.headers().contains_key(*name)));
                prop_assert!(is_base64 || response.body().is_empty() || response.body() == body.as_bytes());
            }
        }
    }

    #[test]
    fn any_depth_passes() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(shown(&deep).unwrap().2, deep);
        let object = format!(r#"{{"a":{deep}}}"#);
        assert_eq!(shown(&object).unwrap().2, object);
    }
}
