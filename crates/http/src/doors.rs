//! Who may talk to the server: programs, not web pages. A page in the user's browser can send requests to loopback too,
//! directly (its Origin tells, or what the browser says of the site that it is of) or through a name that it has pointed
//! at 127.0.0.1 (the Host tells).

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Why a request stays outside.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The Host names another machine.
    #[error("the Host {0:?} is not this server: use 127.0.0.1, [::1], localhost or a name below .localhost")]
    ForeignHost(String),
    /// A page of another origin sent it.
    #[error("requests of web pages are refused: the Origin is {0:?}")]
    ForeignOrigin(String),
    /// A page of another site made the browser send it: a link, a picture, a form.
    #[error("requests of web pages are refused: the browser says that it is a {0:?} request")]
    ForeignSite(String),
}

/// What a request must show to be let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// Nothing: so it must come from a program on this machine.
    Nothing,
    /// A signature, which covers the Host, and which no page can make without the key.
    Signature,
}

/// Checks the head of a request to a server that asks for this much.
///
/// # Errors
/// When an Origin is there that is not this server's own; and, where nothing is asked for, when Host is not a loopback
/// name or the browser says that a page of another site is behind it.
pub fn check(headers: &HeaderMap, asked: Asked) -> Result<(), Refusal> {
    let host = match headers.get(HOST) {
        Some(host) => {
            let text = host.to_str().unwrap_or_default();
            let is_one = headers.get_all(HOST).iter().count() == 1;
            if !is_one || (asked == Asked::Nothing && !is_loopback_name(host_without_port(text))) {
                return Err(Refusal::ForeignHost(shortened(host.as_bytes())));
            }
            Some(text)
        }
        // HTTP/1.0 needs none, and no browser speaks that.
        None => None,
    };
    match headers.get(ORIGIN) {
        Some(origin) if !is_own_origin(origin.as_bytes(), host) => {
            return Err(Refusal::ForeignOrigin(shortened(origin.as_bytes())));
        }
        _ => {}
    }
    match headers.get("sec-fetch-site") {
        // A user who types an address is nobody's page.
        Some(site) if asked == Asked::Nothing && !matches!(site.as_bytes(), b"none" | b"same-origin") => {
            Err(Refusal::ForeignSite(shortened(site.as_bytes())))
        }
        _ => Ok(()),
    }
}

/// Checks the head of a request whose Host is a function's own, where requests to the server are asked for this much. Pages
/// of all origins may send such: what they see of the answer is the function's to say. But the name must be one that no
/// stranger can point at this machine.
///
/// # Errors
/// When there is more than one Host; and, where nothing is asked for, when it is neither a loopback name nor the real
/// service's.
pub fn check_function(headers: &HeaderMap, asked: Asked) -> Result<(), Refusal> {
    let hosts: Vec<&[u8]> = headers.get_all(HOST).iter().map(http::HeaderValue::as_bytes).collect();
    let name = |host| host_without_port(std::str::from_utf8(host).unwrap_or_default());
    match hosts.as_slice() {
        [host] if asked == Asked::Signature || is_loopback_name(name(host)) || is_of_aws(name(host)) => Ok(()),
        [host, ..] => Err(Refusal::ForeignHost(shortened(host))),
        [] => Err(Refusal::ForeignHost(String::new())),
    }
}

fn is_own_origin(origin: &[u8], host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    origin.strip_prefix(b"http://").is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
}

fn host_without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.eq_ignore_ascii_case("localhost") || name == "[::1]" {
        return true;
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()) {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    lower.strip_suffix(".localhost").is_some_and(|label| !label.is_empty())
}

/// Where the real service has its functions: for clients that go on naming it and connect to this server.
fn is_of_aws(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().ends_with(".on.aws")
}

/// At most 100 characters, for the message.
fn shortened(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        map
    }

    fn open(pairs: &[(&str, &str)]) -> Result<(), Refusal> {
        check(&heads(pairs), Asked::Nothing)
    }

    #[test]
    fn lets_programs_in() {
        for host in ["127.0.0.1:4566", "127.8.9.1", "localhost:1", "LOCALHOST", "[::1]:4566", "a.b.localhost:80"] {
            assert_eq!(open(&[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(open(&[]), Ok(()));
    }

    #[test]
    fn refuses_names_that_point_here() {
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", ".localhost", "10.0.0.1"] {
            assert!(matches!(open(&[("host", host)]), Err(Refusal::ForeignHost(_))), "{host}");
        }
        assert!(open(&[("host", "localhost"), ("host", "evil.example")]).is_err());
    }

    #[test]
    fn refuses_pages_of_other_origins() {
        assert_eq!(open(&[("host", "localhost:4566"), ("origin", "http://localhost:4566")]), Ok(()));
        for origin in ["http://evil.example", "null", "http://localhost:3000", "https://localhost:4566", ""] {
            let foreign = [("host", "localhost:4566"), ("origin", origin)];
            assert!(matches!(open(&foreign), Err(Refusal::ForeignOrigin(_))), "{origin}");
            assert!(check(&heads(&foreign), Asked::Signature).is_err(), "{origin}");
        }
    }

    #[test]
    fn refuses_what_pages_of_other_sites_make_a_browser_send() {
        let of = |site: &'static str| [("host", "localhost:4566"), ("sec-fetch-site", site)];
        assert!(open(&of("none")).is_ok() && open(&of("same-origin")).is_ok());
        for site in ["cross-site", "same-site", "", "anything"] {
            assert!(matches!(open(&of(site)), Err(Refusal::ForeignSite(_))), "{site}");
            assert_eq!(check(&heads(&of(site)), Asked::Signature), Ok(()), "a signed link");
        }
    }

    #[test]
    fn functions_are_for_pages_of_all_origins_under_names_of_this_machine() {
        let page = ("origin", "https://page.example");
        let check = |pairs: &[(&str, &str)], asked| super::check_function(&heads(pairs), asked);
        for host in ["a.lambda-url.r.localhost:4566", "A.LAMBDA-URL.R.LOCALHOST", "a.lambda-url.us-east-1.on.aws"] {
            assert_eq!(
                check(&[("host", host), page, ("sec-fetch-site", "cross-site")], Asked::Nothing),
                Ok(()),
                "{host}"
            );
        }
        let foreign = [("host", "a.lambda-url.r.evil.example"), page];
        assert!(check(&foreign, Asked::Nothing).is_err());
        assert_eq!(check(&foreign, Asked::Signature), Ok(()));
        assert!(check(&[("host", "a.lambda-url.r.localhost"), ("host", "localhost")], Asked::Signature).is_err());
        assert!(check(&[], Asked::Signature).is_err());
    }

    #[test]
    fn whoever_signs_may_use_any_one_name() {
        assert_eq!(check(&heads(&[("host", "hearth.example:4566")]), Asked::Signature), Ok(()));
        assert!(check(&heads(&[("host", "a.example"), ("host", "b.example")]), Asked::Signature).is_err());
    }
}
