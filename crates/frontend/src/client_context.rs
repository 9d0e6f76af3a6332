//! The client context: Base64 of a JSON object in a header.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_api::ApiError;
use hearth_types::limits::CLIENT_CONTEXT_BYTES;

use crate::json;

/// The JSON text on one line, as the runtime gets it.
///
/// # Errors
/// `InvalidRequestContentException` where the header is too long, no Base64, or no JSON object.
pub(crate) fn decode(header: &[u8]) -> Result<Arc<str>, ApiError> {
    if header.len() > CLIENT_CONTEXT_BYTES {
        let text = format!(
            "Client context must be at most {CLIENT_CONTEXT_BYTES} bytes of Base64-encoded JSON: it has {}.",
            header.len()
        );
        return Err(ApiError::invalid_request_content(text));
    }
    let invalid = || ApiError::invalid_request_content("Client context must be a valid Base64-encoded JSON object.");
    let mut json = STANDARD.decode(header).map_err(|_| invalid())?;
    json::check(&json).map_err(|_| invalid())?;
    // Line breaks and tabs can only be white space here: in a JSON string they are escaped.
    for byte in json.iter_mut().filter(|byte| byte.is_ascii_whitespace()) {
        *byte = b' ';
    }
    let text = String::from_utf8(json).map_err(|_| invalid())?;
    let text = text.trim();
    if text.starts_with('{') { Ok(text.into()) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Result<String, ApiError> {
        decode(STANDARD.encode(text).as_bytes()).map(|text| text.to_string())
    }

    #[test]
    fn takes_an_object_on_one_line() {
        assert_eq!(decoded(b"{\"custom\":{\"a\":\"\xc3\xa9\"}}").unwrap(), "{\"custom\":{\"a\":\"é\"}}");
        assert_eq!(decoded(b"{\r\n\t\"a\": 1\n}\n").unwrap(), "{   \"a\": 1 }");
    }

    #[test]
    fn refuses_the_rest() {
        for bad in [&b"[]"[..], b"1", b"", b"{", b"{\"a\":\"\x7f\xff\"}"] {
            assert!(decoded(bad).is_err(), "{bad:?}");
        }
        assert!(decode(b"not base64!").is_err());
        let long = decode(&b"A".repeat(CLIENT_CONTEXT_BYTES + 1)).unwrap_err();
        assert!(long.to_string().contains("at most 3583 bytes"), "{long}");
    }
}
