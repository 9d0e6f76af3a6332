//! The API as functions reach it: a listener inside each environment, for the credentials of its role.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_api::ApiError;
use hearth_http::{Handler, ResponseBody, Server, ServerLimits};
use hearth_identity::session::{SESSION_RANDOM_BYTES, Session, Sessions};
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{ENVIRONMENT_CREDENTIALS_LIFE, HEAD_BYTES, HEAD_TIMEOUT, HEADERS, INSIDE_CONNECTIONS};
use hearth_worker::{Door, Identities, Identity};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;

/// An environment's listener ends with the environment, whose requests nobody waits for.
const NO_DRAIN: Duration = Duration::ZERO;

const LIMITS: ServerLimits = ServerLimits {
    connections: INSIDE_CONNECTIONS,
    head_bytes: HEAD_BYTES,
    headers: HEADERS,
    head_timeout: HEAD_TIMEOUT,
};

/// Gives environments their credentials, and answers what they send.
pub(crate) struct Insiders {
    sessions: Sessions,
    now: fn() -> Duration,
}

impl Insiders {
    pub(crate) fn new(sessions: Sessions, now: fn() -> Duration) -> Self {
        Self { sessions, now }
    }

    /// As Lambda does, the session bears the function's name.
    fn session(&self, spec: &VersionSpec) -> Session {
        let expires = (self.now)() + ENVIRONMENT_CREDENTIALS_LIFE;
        Session {
            role_arn: spec.role.to_string(),
            role_id: None,
            name: spec.function.to_string(),
            expires_s: i64::try_from(expires.as_secs()).unwrap_or(i64::MAX),
            policy: None,
            function_arn: Some(spec.function_arn.to_string()),
        }
    }
}

impl Identities for Insiders {
    fn identity(&self, spec: &VersionSpec) -> Result<Identity, String> {
        let mut random = [0; SESSION_RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|cause| format!("the machine gives no random bytes: {cause}"))?;
        let credentials = self.sessions.issue(&self.session(spec), random);
        let insider = Arc::new(Insider);
        let door: Door = Box::new(move |listener| {
            Box::pin(async move {
                let (_never, stop) = watch::channel(false);
                Server::with_backlog(listener, LIMITS).run(insider, stop, NO_DRAIN).await;
            })
        });
        Ok(Identity { credentials, door })
    }
}

/// The processes of one environment.
struct Insider;

impl Handler for Insider {
    async fn handle(&self, _: SocketAddr, _: Request<Incoming>) -> Response<ResponseBody> {
        let text = "Functions cannot call this version of Hearth: set AWS_ENDPOINT_URL to another service's address.";
        ApiError::access_denied(Some(text.to_owned())).response().map(ResponseBody::from)
    }
}
