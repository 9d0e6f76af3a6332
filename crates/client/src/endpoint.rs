//! Where another server is.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// A server and what stands before each path there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    scheme: Scheme,
    server: Authority,
    /// Without a slash at its end.
    path: String,
}

impl Endpoint {
    /// Reads a URL without a query.
    ///
    /// # Errors
    /// When it is not of the form `http(s)://HOST[:PORT][/PATH]`, with why.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|cause| format!("{url:?} is no URL: {cause}"))?;
        let path = uri.path().trim_end_matches('/').to_owned();
        let is_whole = uri.query().is_none();
        match (uri.scheme(), uri.authority()) {
            // What would be a name and password there has no effect, and would be told in messages.
            (Some(_), Some(server)) if server.as_str().contains('@') => {
                Err("a URL of a server has no user name in it".to_owned())
            }
            (Some(scheme), Some(server)) if is_whole && (*scheme == Scheme::HTTP || *scheme == Scheme::HTTPS) => {
                Ok(Self { scheme: scheme.clone(), server: server.clone(), path })
            }
            _ => Err(format!("{url:?} is not of the form http://HOST:PORT or https://HOST:PORT")),
        }
    }

    /// Host and port, as `Host` has them.
    #[must_use]
    pub fn server(&self) -> &Authority {
        &self.server
    }

    /// The address of a path, with its query, on this server. `None` where no address can bear it.
    #[must_use]
    pub fn uri(&self, path_and_query: &str) -> Option<Uri> {
        let target: PathAndQuery = format!("{}{path_and_query}", self.path).parse().ok()?;
        Uri::builder().scheme(self.scheme.clone()).authority(self.server.clone()).path_and_query(target).build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_below_the_servers_own() {
        let uri = |url: &str, path: &str| Endpoint::parse(url).unwrap().uri(path).map(|uri| uri.to_string());
        assert_eq!(uri("http://h:1/base/", "/a?b=1").unwrap(), "http://h:1/base/a?b=1");
        assert_eq!(uri("https://h", "/").unwrap(), "https://h/");
        assert_eq!(uri("https://h", "/a b"), None);
    }

    #[test]
    fn only_http_and_https_are_spoken() {
        for url in ["h:1", "ftp://h", "http://h/?q", "https://user:word@h", "", "http://"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }
}
