//! `METHOD TARGET`, then headers, a line each, an empty line and the body: a request of somebody who knows no secret.
#![no_main]

use std::time::Duration;

use hearth_identity::Secret;
use hearth_identity::sigv4::{Claim, Payload, Request, Service, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &[u8]| {
    let end = request.windows(2).position(|pair| pair == b"\n\n").unwrap_or(request.len());
    let (head, body) = (&request[..end], request.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some((method, target)) = first.and_then(|line| line.split_once(' ')) else { return };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), target.parse::<Uri>()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let request = Request { method: &method, uri: &uri, headers: &headers };
    for name in ["lambda", "s3"] {
        let service = Service { name, regions: &["us-east-1"] };
        let Ok(Some(claim)) = Claim::read(request, service) else { continue };
        assert!(claim.access_key_id().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let key = claim.signing_key(&Secret::new("nobody knows it"));
        let now = Timestamp::since_1970(Duration::from_secs(1_709_640_000));
        for payload in [Payload::Whole(body), Payload::Later] {
            assert!(claim.check(&key, service, request, payload, now).is_err(), "a forged signature");
        }
    }
});
