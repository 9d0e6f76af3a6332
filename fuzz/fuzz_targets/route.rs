//! `METHOD PATH[?QUERY]`, a line break, then the body: found, decoded and checked as a request.
#![no_main]

use bytes::Bytes;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &[u8]| {
    let (line, body) = match request.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&request[..at], &request[at + 1..]),
        None => (request, &[][..]),
    };
    let Some((method, target)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else { return };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let Ok(matched) = hearth_api::route(method, path, query) else { return };
    assert_eq!(hearth_api::route(method, path, query).ok().as_ref(), Some(&matched));
    if let Some(name) = matched.label("FunctionName") {
        assert!(!name.is_empty() && name != "." && name != "..", "{name:?}");
    }
    // Whatever it says, it says it without a panic.
    let _ = hearth_api::check(&matched, &HeaderMap::new(), Bytes::copy_from_slice(body));
});
