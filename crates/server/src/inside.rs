//! The API as functions reach it: a listener inside each environment, for the credentials of its role.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use hearth_access::{Access, NOBODY};
use hearth_api::ApiError;
use hearth_api::error::INVALID_SIGNATURE;
use hearth_clock::Clock;
use hearth_control::trees::Trees;
use hearth_http::{Handler, RequestBody, ResponseBody, Server, ServerLimits, Unread, serve_one};
use hearth_identity::Credentials;
use hearth_identity::session::{SESSION_RANDOM_BYTES, Session};
use hearth_remote::{By, Doors};
use hearth_runtimes::CREDENTIALS_PATH;
use hearth_types::CodeDigest;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{
    ENVIRONMENT_CREDENTIALS_BEYOND, HEAD_BYTES, HEAD_TIMEOUT, HEADERS, INSIDE_CONNECTIONS, PROVISIONED_INIT_TIMEOUT,
};
use hearth_worker::{Door, Identities, Identity, Soon};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tracing::warn;

use crate::gateway::{Gateway, Way};
use crate::room::Room;

/// An environment's listener ends with the environment, whose requests nobody waits for.
const NO_DRAIN: Duration = Duration::ZERO;

const LIMITS: ServerLimits = ServerLimits {
    connections: INSIDE_CONNECTIONS,
    head_bytes: HEAD_BYTES,
    headers: HEADERS,
    head_timeout: HEAD_TIMEOUT,
};

/// Gives environments what they begin with, code and credentials, and answers what they send.
pub(crate) struct Insiders {
    access: Arc<Access>,
    trees: Arc<Trees>,
    /// Of environments, at most.
    life: Duration,
    clock: Clock,
    unread: Arc<Unread>,
    packages: Arc<Semaphore>,
    /// What tokens are made with.
    key: [u8; 64],
    /// Set once it is there: it is made of what is made of this.
    gateway: Arc<OnceLock<Weak<Gateway>>>,
    /// Those in worker processes, by their access key ids.
    elsewhere: Mutex<HashMap<String, Arc<Insider>>>,
}

impl Insiders {
    pub(crate) fn new(
        access: Arc<Access>,
        trees: Arc<Trees>,
        life: Duration,
        clock: Clock,
        unread: Arc<Unread>,
        key: [u8; 64],
    ) -> Self {
        Self {
            access,
            trees,
            life,
            clock,
            unread,
            packages: Room::packages_inside(),
            key,
            gateway: Arc::default(),
            elsewhere: Mutex::default(),
        }
    }

    /// From now on functions are answered.
    pub(crate) fn open(&self, gateway: &Arc<Gateway>) {
        let _ = self.gateway.set(Arc::downgrade(gateway));
    }

    /// As Lambda does, the session bears the function's name.
    async fn session(&self, spec: &VersionSpec) -> Session {
        let expires = self.clock.now() + self.life + ENVIRONMENT_CREDENTIALS_BEYOND;
        let role_id = self.access.role_id(&spec.role).await.unwrap_or_else(|cause| {
            warn!("{} is made without rights: its role cannot be looked up: {cause}", spec.function);
            Some(NOBODY.to_owned())
        });
        Session {
            role_arn: spec.role.to_string(),
            role_id,
            name: spec.function.to_string(),
            expires_s: i64::try_from(expires.as_secs()).unwrap_or(i64::MAX),
            policy: None,
            function_arn: Some(spec.function_arn.to_string()),
        }
    }

    /// The same for all environments of a version: it is in its snapshot. What reaches the door can have the credentials
    /// anyway; this keeps whoever can make a function only fetch from having them.
    fn token(&self, spec: &VersionSpec) -> String {
        let about = format!("{}:{}", spec.function_arn, spec.version);
        CodeDigest::of(&[self.key.as_slice(), about.as_bytes()].concat()).to_string()
    }

    /// What a new environment is admitted with, once its code and layers are there for it.
    async fn insider(&self, spec: &VersionSpec, told: Told) -> Result<(Credentials, Arc<Insider>), String> {
        self.trees.of(spec).await.map_err(|cause| cause.to_string())?;
        let mut random = [0; SESSION_RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|cause| format!("the machine gives no random bytes: {cause}"))?;
        let session = self.session(spec).await;
        let credentials = self.access.sessions().issue(&session, random);
        let insider = Arc::new(Insider {
            access_key_id: credentials.access_key_id.clone(),
            fetched: fetched(&credentials, self.told_to_end(&session, spec, told)),
            token: self.token(spec),
            room: Room::inside(Arc::clone(&self.packages)),
            gateway: Arc::clone(&self.gateway),
        });
        Ok((credentials, insider))
    }

    /// When an SDK is told that they end, in seconds since 1970. In a template within a quarter of an hour in any case:
    /// the AWS SDK for Python fetches what ends so soon anew for each call.
    fn told_to_end(&self, session: &Session, spec: &VersionSpec, told: Told) -> i64 {
        let init = PROVISIONED_INIT_TIMEOUT.max(Duration::from_secs(u64::from(spec.timeout_s)));
        match told {
            Told::Truly => session.expires_s,
            Told::Soon => i64::try_from((self.clock.now() + init).as_secs()).unwrap_or(i64::MAX).min(session.expires_s),
        }
    }

    fn elsewhere(&self) -> MutexGuard<'_, HashMap<String, Arc<Insider>>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn admit(&self, spec: &VersionSpec, told: Told) -> Result<Identity, String> {
        let (credentials, insider) = self.insider(spec, told).await?;
        let token = insider.token.clone();
        let unread = Arc::clone(&self.unread);
        let door: Door = Box::new(move |listener| {
            Box::pin(async move {
                let (_never, stop) = watch::channel(false);
                Server::with_backlog(listener, LIMITS, unread).run(insider, stop, NO_DRAIN).await;
            })
        });
        Ok(Identity { credentials, token, door })
    }
}

impl Identities for Insiders {
    fn identity<'a>(&'a self, spec: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        Box::pin(self.admit(spec, Told::Truly))
    }

    fn identity_of_template<'a>(&'a self, spec: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        Box::pin(self.admit(spec, Told::Soon))
    }
}

impl Doors for Insiders {
    fn identify<'a>(&'a self, spec: &'a VersionSpec, by: By) -> Soon<'a, Result<(Credentials, String), String>> {
        Box::pin(async move {
            let told = match by {
                By::Environment => Told::Truly,
                By::Template => Told::Soon,
            };
            let (credentials, insider) = self.insider(spec, told).await?;
            let token = insider.token.clone();
            self.elsewhere().insert(credentials.access_key_id.clone(), insider);
            Ok((credentials, token))
        })
    }

    fn forget(&self, access_key_id: &str) {
        self.elsewhere().remove(access_key_id);
    }

    fn serve(&self, access_key_id: &str, stream: UnixStream) -> Option<Soon<'static, ()>> {
        let insider = Arc::clone(self.elsewhere().get(access_key_id)?);
        // As each environment has its own network, its address says nothing.
        let peer = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Some(Box::pin(serve_one(stream, peer, LIMITS, Arc::clone(&self.unread), insider)))
    }
}

/// Of the end of credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Truly,
    /// As those of a process that is written down.
    Soon,
}

/// The processes of one environment.
struct Insider {
    access_key_id: String,
    /// What a function gets that asks for its credentials: JSON.
    fetched: String,
    /// What it shows.
    token: String,
    room: Room,
    gateway: Arc<OnceLock<Weak<Gateway>>>,
}

/// As an SDK takes it from a container's endpoint.
fn fetched(credentials: &Credentials, expires_s: i64) -> String {
    let expires = jiff::Timestamp::from_second(expires_s).unwrap_or(jiff::Timestamp::MAX);
    let body = serde_json::json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret.reveal(),
        "Token": credentials.session_token,
        "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    body.to_string()
}

impl Insider {
    fn credentials(&self, request: &Request<RequestBody>) -> Response<Bytes> {
        let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if shown != Some(self.token.as_bytes()) {
            return ApiError::new(&INVALID_SIGNATURE, "The token is not the environment's.").response();
        }
        let mut response = Response::new(Bytes::from(self.fetched.clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl Handler for Insider {
    async fn handle(&self, peer: SocketAddr, request: Request<RequestBody>) -> Response<ResponseBody> {
        if request.uri().path() == CREDENTIALS_PATH {
            return self.credentials(&request).map(ResponseBody::from);
        }
        let Some(gateway) = self.gateway.get().and_then(Weak::upgrade) else {
            return ApiError::service("The server is not ready.").response().map(ResponseBody::from);
        };
        let door = hearth_access::Door::Environment { access_key_id: &self.access_key_id };
        gateway.serve(Way { door, room: &self.room }, peer, request).await
    }
}
