//! Requests for S3 that no scope of a signature tells: it has older signatures, and hosts that are named after buckets.

use http::request::Parts;
use http::{HeaderMap, header};

/// Whether a request whose head names no service is for S3.
pub(crate) fn is_s3(head: &Parts) -> bool {
    // Version 2 signatures: in a header, or in a link, as boto3 still makes them.
    let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut parameters = head.uri.query().unwrap_or_default().split('&');
    authorization.is_some_and(|value| value.starts_with("AWS "))
        || parameters.any(|pair| pair.starts_with("AWSAccessKeyId="))
        || is_host_of_s3(&head.headers)
}

/// `s3.localhost` and what is below it: `BUCKET.s3.localhost`, `BUCKET.s3.REGION.localhost`.
fn is_host_of_s3(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix(".localhost").is_some_and(|below| below.split('.').any(|label| label == "s3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_s3(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn requests_say_that_they_are_for_s3() {
        assert!(is("/b/k", &[("authorization", "AWS AK:signature")]));
        assert!(is("/b/k?AWSAccessKeyId=AK&Signature=0&Expires=1", &[]));
        assert!(is("/k", &[("host", "b.s3.localhost:4566")]) && is("/b", &[("host", "s3.us-east-1.localhost")]));
        assert!(!is("/k", &[("host", "localhost:4566")]) && !is("/k", &[("host", "s3.example")]));
        assert!(!is("/b/k?x=AWSAccessKeyId", &[]) && !is("/", &[("authorization", "Bearer AWS ")]));
    }
}
