//! Host names of function URLs: `ID.lambda-url.REGION.SERVER`. Each is an origin of its own to browsers, so that the page
//! of one function is a stranger to all others and to the server.

/// The label that tells these hosts from all others.
const LABEL: &str = "lambda-url";

/// A host name that is a function URL's, whether or not there is such a URL. In lower case, without a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlHost {
    /// What stands before `lambda-url`: [`UrlConfig::id`](crate::settings::UrlConfig) where there is one.
    pub id: String,
    /// The label that follows.
    pub region: String,
    /// The rest: the server's own name.
    pub server: String,
}

impl UrlHost {
    /// Reads a Host header's value; none where it is another host.
    #[must_use]
    pub fn parse(authority: &str) -> Option<Self> {
        let name = without_port(authority).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let labels: Vec<&str> = name.split('.').collect();
        let at = labels.iter().position(|label| *label == LABEL)?;
        Some(Self {
            id: labels[..at].join("."),
            region: labels.get(at + 1).copied().unwrap_or_default().to_owned(),
            server: labels.get(at + 2..).unwrap_or_default().join("."),
        })
    }

    /// The name, without a port.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { id, region, server } = self;
        format!("{id}.{LABEL}.{region}.{server}")
    }

    /// The URL of this host on a server that a client reaches under `endpoint`, `http://HOST:PORT`: below that name. Where
    /// that is an address, below `localhost`, whose subdomains all lead to this machine.
    #[must_use]
    pub fn url(id: &str, region: &str, endpoint: &str) -> String {
        let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", endpoint));
        let host = without_port(authority);
        let port = &authority[host.len()..];
        let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
        let server = if is_address { "localhost" } else { host };
        // Who reached the server by a function's URL has its own name before the server's.
        let server = Self::parse(server).map_or_else(|| server.to_owned(), |host| host.server);
        format!("{scheme}://{id}.{LABEL}.{region}.{server}{port}/")
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls_are_told_from_others() {
        let host = UrlHost::parse("AbC1.Lambda-Url.us-east-1.localhost:4566").unwrap();
        assert_eq!((&*host.id, &*host.region, &*host.server), ("abc1", "us-east-1", "localhost"));
        assert_eq!(host.name(), "abc1.lambda-url.us-east-1.localhost");
        for text in
            ["id.lambda-url.us-east-1.on.aws.", "a.b.lambda-url.r.x", "lambda-url", ".lambda-url.r", "x.lambda-url:1"]
        {
            assert!(UrlHost::parse(text).is_some(), "{text}");
        }
        for text in
            ["localhost:4566", "127.0.0.1", "[::1]:4566", "lambda-urls.localhost", "id-lambda-url.r.localhost", ""]
        {
            assert_eq!(UrlHost::parse(text), None, "{text}");
        }
    }

    #[test]
    fn urls_are_below_the_name_of_the_server() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4566", "http://id.lambda-url.us-east-1.localhost:4566/"),
            ("http://[::1]:4566", "http://id.lambda-url.us-east-1.localhost:4566/"),
            ("http://localhost", "http://id.lambda-url.us-east-1.localhost/"),
            ("http://lambda.example.org:80", "http://id.lambda-url.us-east-1.lambda.example.org:80/"),
        ] {
            assert_eq!(UrlHost::url("id", "us-east-1", endpoint), url);
            let authority = url.strip_prefix("http://").unwrap().strip_suffix('/').unwrap();
            assert_eq!(UrlHost::parse(authority).unwrap().id, "id");
        }
    }
}
