//! Pages of other origins: the service answers what browsers ask ahead, and says in each response what a page may see of
//! it. What the function says of that does not count where the URL has a Cors of its own.

use bytes::Bytes;
use hearth_types::settings::Cors;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};

/// What a URL's Cors says to the sender of one request.
#[derive(Clone, Copy, Debug)]
pub struct Sharing<'a> {
    /// Of the URL.
    pub cors: Option<&'a Cors>,
    /// Of the request.
    pub origin: Option<&'a HeaderValue>,
}

impl Sharing<'_> {
    /// The answer to a preflight: an OPTIONS request of some origin, where the URL has a Cors. It is never signed, and the
    /// function is not asked.
    #[must_use]
    pub fn preflight(self, method: &Method) -> Option<Response<Bytes>> {
        let cors = self.cors.filter(|_| *method == Method::OPTIONS && self.origin.is_some())?;
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        if self.share(headers) {
            set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, list(&cors.allow_methods));
            set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, list(&cors.allow_headers));
            set(headers, header::ACCESS_CONTROL_MAX_AGE, cors.max_age_s.map(|seconds| seconds.to_string()));
        }
        Some(response)
    }

    /// Sets what any other response says.
    pub fn apply(self, headers: &mut HeaderMap) {
        if self.cors.is_none() {
            return;
        }
        let functions_own: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
        for name in functions_own {
            headers.remove(name);
        }
        if self.share(headers)
            && let Some(cors) = self.cors
        {
            set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, list(&cors.expose_headers));
        }
    }

    /// Says whether the origin may see the response, and what caches must know of that.
    fn share(self, headers: &mut HeaderMap) -> bool {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let (Some(cors), Some(origin)) = (self.cors, self.origin) else { return false };
        let allowed = cors.allow_origins.as_deref().unwrap_or_default();
        let shown = if allowed.iter().any(|allowed| allowed == "*") {
            HeaderValue::from_static("*")
        } else if allowed.iter().any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes())) {
            origin.clone()
        } else {
            return false;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, shown);
        if cors.allow_credentials == Some(true) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }
}

fn list(values: &Option<Vec<String>>) -> Option<String> {
    values.as_ref().filter(|values| !values.is_empty()).map(|values| values.join(","))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(Ok(value)) = value.map(|text| HeaderValue::from_bytes(text.as_bytes())) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        Cors {
            allow_credentials: Some(true),
            allow_headers: texts(&["content-type", "x-a"]),
            allow_methods: texts(&["GET", "POST"]),
            allow_origins: texts(&["https://a.example", "http://localhost:3000"]),
            expose_headers: texts(&["x-b"]),
            max_age_s: Some(60),
        }
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let mut all: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        all.sort();
        all
    }

    fn preflight(cors: Option<&Cors>, method: &Method, origin: Option<&'static str>) -> Option<Vec<String>> {
        let origin = origin.map(HeaderValue::from_static);
        let response = Sharing { cors, origin: origin.as_ref() }.preflight(method)?;
        assert_eq!((response.status().as_u16(), response.body().len()), (200, 0));
        Some(shown(response.headers()))
    }

    fn applied(cors: Option<&Cors>, origin: Option<&'static str>, own: &[(&'static str, &'static str)]) -> Vec<String> {
        let origin = origin.map(HeaderValue::from_static);
        let mut headers = HeaderMap::new();
        for (name, value) in own {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        Sharing { cors, origin: origin.as_ref() }.apply(&mut headers);
        shown(&headers)
    }

    #[test]
    fn a_preflight_is_answered_with_all_members() {
        let all = [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: content-type,x-a",
            "access-control-allow-methods: GET,POST",
            "access-control-allow-origin: https://a.example",
            "access-control-max-age: 60",
            "vary: Origin",
        ];
        assert_eq!(preflight(Some(&cors()), &Method::OPTIONS, Some("https://a.example")).unwrap(), all);
        assert_eq!(preflight(Some(&cors()), &Method::OPTIONS, Some("https://b.example")).unwrap(), ["vary: Origin"]);
        let everybody = Cors { allow_origins: Some(vec!["*".to_owned()]), ..Cors::default() };
        let answer = preflight(Some(&everybody), &Method::OPTIONS, Some("null")).unwrap();
        assert_eq!(answer, ["access-control-allow-origin: *", "vary: Origin"]);
    }

    #[test]
    fn what_is_no_preflight_goes_to_the_function() {
        assert_eq!(preflight(None, &Method::OPTIONS, Some("https://a.example")), None);
        assert_eq!(preflight(Some(&cors()), &Method::OPTIONS, None), None);
        assert_eq!(preflight(Some(&cors()), &Method::GET, Some("https://a.example")), None);
    }

    #[test]
    fn the_urls_word_stands_over_the_functions() {
        let own =
            [("access-control-allow-origin", "https://own.example"), ("access-control-max-age", "5"), ("x-b", "1")];
        let theirs = applied(None, Some("https://a.example"), &own);
        assert_eq!(theirs.len(), 3, "without a Cors the function's headers are as it set them");
        let ours = [
            "access-control-allow-credentials: true",
            "access-control-allow-origin: http://localhost:3000",
            "access-control-expose-headers: x-b",
            "vary: Origin",
            "x-b: 1",
        ];
        assert_eq!(applied(Some(&cors()), Some("http://localhost:3000"), &own), ours);
        for other in [None, Some("https://own.example")] {
            assert_eq!(applied(Some(&cors()), other, &own), ["vary: Origin", "x-b: 1"]);
        }
    }
}
