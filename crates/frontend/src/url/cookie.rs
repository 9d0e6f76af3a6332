//! The cookies that a function sets.

/// A Set-Cookie value without a Domain that is not the URL's own host: a function sets none for its neighbours or for the
/// server.
pub(super) fn own(cookie: &str, host: &str) -> String {
    let is_foreign = |attribute: &&str| {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        name.trim().eq_ignore_ascii_case("domain")
            && !value.strip_prefix('.').unwrap_or(value).eq_ignore_ascii_case(host)
    };
    let mut parts = cookie.split(';');
    let first = parts.next().into_iter();
    first.chain(parts.filter(|part| !is_foreign(part))).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_for_the_own_host_only() {
        let host = "id.lambda-url.us-east-1.localhost";
        for kept in
            ["a=b", "domain=x; Path=/; Secure", "a=b; Domain=id.lambda-url.us-east-1.localhost", "a=b;HttpOnly", ""]
        {
            assert_eq!(own(kept, host), kept);
        }
        for (set, kept) in [
            ("a=b; Domain=us-east-1.localhost; Path=/", "a=b; Path=/"),
            ("a=b;DOMAIN = .localhost", "a=b"),
            ("a=b; domain", "a=b"),
            ("a=b; Domain=other.lambda-url.us-east-1.localhost;Secure", "a=b;Secure"),
        ] {
            assert_eq!(own(set, host), kept);
        }
    }
}
