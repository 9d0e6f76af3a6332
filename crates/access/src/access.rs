//! The door: who is asked for a signature, and who a signature is of.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_clock::Clock;
use hearth_identity::policy::{Context, Document, Kind, Principal};
use hearth_identity::session::{NoSession, Session, Sessions};
use hearth_identity::sigv4::{Claim, Request, Service, SignatureError, Timestamp};
use hearth_identity::{Caller, MasterKey, Rights, Secret};
use hearth_store::MetadataStore;
use hearth_store::typed::Fault;
use hearth_types::Place;
use http::{HeaderMap, header};

use crate::identities::{Identities, Role, User};
use crate::refusal::NotAdmitted;
use crate::signing_keys::SigningKeys;
use crate::visitor::Visitor;

/// An id that no role has: such a session may do nothing.
pub const NOBODY: &str = "AROAUNKNOWN";

/// Whether the public address asks for signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    /// Whoever comes with no credentials of this server's may do everything. Those that come with some are held to them.
    Open,
    /// Everybody signs.
    Required,
}

/// Where a request comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door<'a> {
    /// The public address.
    Outer,
    /// The address inside an environment: functions always sign, with the environment's own credentials or those of a
    /// role that somebody assumed, but never with another environment's.
    Environment {
        /// Of its own credentials.
        access_key_id: &'a str,
    },
}

impl Door<'_> {
    fn lets_in(self, access_key_id: &str, session: &Session) -> bool {
        match self {
            Self::Outer => true,
            Self::Environment { access_key_id: own } => access_key_id == own || session.function_arn.is_none(),
        }
    }
}

/// What the door is made of.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// Records.
    pub store: Arc<dyn MetadataStore>,
    /// The server's key.
    pub key: MasterKey,
    /// For the public address.
    pub auth: Auth,
    /// Time since 1970 as clients have it too: what they sign is good for minutes of it.
    pub now: fn() -> Duration,
    /// By which sessions end.
    pub clock: Clock,
}

/// Somebody who bears a signature.
pub struct Signer<'a> {
    /// The key that it is said to be made with.
    pub access_key_id: String,
    /// Lets in whoever signed.
    pub visitor: Visitor<'a>,
}

/// The door.
pub struct Access {
    place: Place,
    auth: Auth,
    now: fn() -> Duration,
    clock: Clock,
    identities: Identities,
    sessions: Sessions,
    signing_keys: SigningKeys,
    /// Who everybody is that nobody asks.
    owner: Arc<Caller>,
}

/// Somebody whom a claim can be of.
struct Known {
    secret: Secret,
    who: Who,
}

enum Who {
    User(Arc<User>),
    Session(Session),
}

impl Access {
    /// Of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { place, store, key, auth, now, clock } = parts;
        let account = place.account.to_string();
        let owner = Principal::Root { account: account.clone() };
        let owner = Caller::new(owner, account, Rights::Everything, Context::default());
        Self {
            identities: Identities::new(store, key.clone(), Arc::clone(&place.account)),
            sessions: Sessions::new(key),
            signing_keys: SigningKeys::default(),
            owner: Arc::new(owner),
            place,
            auth,
            now,
            clock,
        }
    }

    /// Whether whoever comes through this door must sign.
    #[must_use]
    pub fn asks_for_signatures(&self, door: Door<'_>) -> bool {
        matches!(door, Door::Environment { .. }) || self.auth == Auth::Required
    }

    /// Where this server says it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Makes credentials of sessions, and reads them.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Looks at a request's head, before its body is read: `service` is the one that it is for, as signatures name it.
    ///
    /// # Errors
    /// When it bears no signature and must, or one that is nobody's or cannot be read.
    pub async fn visitor<'a>(
        &'a self,
        door: Door<'_>,
        head: &'a http::request::Parts,
        peer: IpAddr,
        service: &'a str,
    ) -> Result<Visitor<'a>, NotAdmitted> {
        let is_open = !self.asks_for_signatures(door);
        // Most that come through an open door bear no key that could be ours.
        if is_open && !bears_key_of_our_form(head) {
            return Ok(Visitor::unasked(Arc::clone(&self.owner)));
        }
        let request = Request { method: &head.method, uri: &head.uri, headers: &head.headers };
        if is_open && !self.is_one_of_ours(request).await? {
            return Ok(Visitor::unasked(Arc::clone(&self.owner)));
        }
        let regions = self.regions(service);
        let named = Service { name: service, regions: &regions };
        let claim = Claim::read(request, named)?.ok_or(SignatureError::Missing)?;
        let known = self.known(door, &claim).await?;
        let key = self.signing_keys.of(&claim, &known.secret);
        let caller = self.caller(known.who, self.context(head, peer)).await?;
        Ok(Visitor::signed(self, request, service, claim, key, caller))
    }

    /// Looks at the head of a request that must be signed, however open the door is: for what says itself who may come in.
    /// Through an open door a signature with credentials that are none of this server's is anybody's, and not checked.
    ///
    /// # Errors
    /// When it bears no signature, one for another service, or one that is nobody's.
    pub async fn signer<'a>(
        &'a self,
        door: Door<'_>,
        head: &'a http::request::Parts,
        peer: IpAddr,
        service: &'a str,
    ) -> Result<Signer<'a>, NotAdmitted> {
        let request = Request { method: &head.method, uri: &head.uri, headers: &head.headers };
        let regions = self.regions(service);
        let claim = Claim::read(request, Service { name: service, regions: &regions })?;
        let access_key_id = claim.ok_or(SignatureError::Missing)?.access_key_id().to_owned();
        let visitor = self.visitor(door, head, peer, service).await?;
        Ok(Signer { access_key_id, visitor })
    }

    /// Somebody who is not asked for a signature.
    #[must_use]
    pub fn anybody(&self, head: &http::request::Parts, peer: IpAddr) -> Caller {
        let rights = Rights::By { identity: Vec::new(), session: None };
        Caller::new(Principal::Anonymous, "", rights, self.context(head, peer))
    }

    /// The caller that a session's holder is: what its role's policies give, cut down to the session's own.
    ///
    /// A role that never had a record (functions may name any) may do everything through an open server, and nothing
    /// otherwise; one that is gone, or is another one by now, allows nothing.
    ///
    /// # Errors
    /// When the store cannot be read, or what is in it.
    pub async fn of_session(&self, session: &Session, mut context: Context) -> Result<Caller, NotAdmitted> {
        let role = self.role_of(session).await?;
        for (key, value) in role.iter().flat_map(|role| &role.tags) {
            context.set(&format!("aws:PrincipalTag/{key}"), value);
        }
        if let Some(function) = &session.function_arn {
            context.set("lambda:SourceFunctionArn", function);
        }
        let rights = match role {
            None if self.auth == Auth::Open && session.is_of_no_record() => Rights::Everything,
            None => Rights::By { identity: Vec::new(), session: None },
            Some(role) => Rights::By {
                identity: self.identities.policies_of_role(&role).await?,
                session: session.policy.as_deref().map(of_this_session).transpose()?,
            },
        };
        let principal = Principal::Session {
            account: session.account().to_owned(),
            role_arn: session.role_arn.clone(),
            session_arn: session.arn(),
        };
        Ok(Caller::new(principal, session.user_id(), rights, context))
    }

    /// The id of the role with this ARN; none where there never was such a role. One that was deleted is [`NOBODY`].
    ///
    /// # Errors
    /// When the store cannot be read, or what is in it.
    pub async fn role_id(&self, role_arn: &str) -> Result<Option<String>, NotAdmitted> {
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        match self.identities.role(name).await?.filter(|role| role.arn == role_arn) {
            Some(role) => Ok(Some(role.id.clone())),
            None => Ok(self.identities.is_former_role(name).await?.then(|| NOBODY.to_owned())),
        }
    }

    /// By which signatures are good.
    pub(crate) fn signing_time(&self) -> Timestamp {
        Timestamp::since_1970((self.now)())
    }

    fn now(&self) -> Timestamp {
        Timestamp::since_1970(self.clock.now())
    }

    pub(crate) fn signing_keys(&self) -> &SigningKeys {
        &self.signing_keys
    }

    /// The regions that a scope may name: services with one address for all the world sign for us-east-1.
    pub(crate) fn regions(&self, service: &str) -> [&str; 2] {
        let own = &*self.place.region;
        [own, if matches!(service, "iam" | "sts") { "us-east-1" } else { own }]
    }

    async fn is_one_of_ours(&self, request: Request<'_>) -> Result<bool, NotAdmitted> {
        let Ok(Some(claim)) = Claim::read_any(request) else { return Ok(false) };
        match self.known(Door::Outer, &claim).await {
            Err(NotAdmitted::Signature(SignatureError::UnknownKey | SignatureError::UnknownToken)) => Ok(false),
            Err(NotAdmitted::Failed(cause)) => Err(cause.into()),
            Ok(_) | Err(NotAdmitted::Signature(_)) => Ok(true),
        }
    }

    async fn known(&self, door: Door<'_>, claim: &Claim) -> Result<Known, NotAdmitted> {
        if let Some(token) = claim.token() {
            let (session, secret) = self.sessions.open(claim.access_key_id(), token, self.now()).map_err(no_session)?;
            if !door.lets_in(claim.access_key_id(), &session) {
                return Err(SignatureError::UnknownToken.into());
            }
            return Ok(Known { secret, who: Who::Session(session) });
        }
        if door != Door::Outer {
            return Err(SignatureError::UnknownKey.into());
        }
        let user = self.identities.user(claim.access_key_id()).await?.ok_or(SignatureError::UnknownKey)?;
        let secret = user.secret.clone().ok_or(SignatureError::UnknownKey)?;
        Ok(Known { secret, who: Who::User(user) })
    }

    async fn caller(&self, who: Who, context: Context) -> Result<Caller, NotAdmitted> {
        let user = match who {
            Who::Session(session) => return self.of_session(&session, context).await,
            Who::User(user) => user,
        };
        let account = self.place.account.to_string();
        let arn = format!("arn:aws:iam::{account}:user/{}", user.name);
        let rights = Rights::By { identity: self.identities.policies_of_user(&user).await?, session: None };
        Ok(Caller::new(Principal::User { account, arn }, &*user.id, rights, context))
    }

    /// The session's role, if it is still the one that it was: not another one by the same name.
    async fn role_of(&self, session: &Session) -> Result<Option<Arc<Role>>, Fault> {
        let role = self.identities.role(session.role_name()).await?;
        let is_it =
            |role: &Arc<Role>| role.arn == session.role_arn && session.role_id.as_ref().is_none_or(|id| *id == role.id);
        Ok(role.filter(is_it))
    }

    /// What is known of a request besides who sent it.
    fn context(&self, head: &http::request::Parts, peer: IpAddr) -> Context {
        let now = self.now();
        let mut context = Context::default()
            .with("aws:CurrentTime", now.extended())
            .with("aws:EpochTime", now.seconds().to_string())
            .with("aws:SourceIp", peer.to_canonical().to_string())
            .with("aws:SecureTransport", "false")
            .with("aws:ViaAWSService", "false")
            .with("aws:RequestedRegion", &*self.place.region);
        for (key, name) in [("aws:UserAgent", header::USER_AGENT), ("aws:Referer", header::REFERER)] {
            if let Some(value) = head.headers.get(name).and_then(|value| value.to_str().ok()) {
                context.set(key, value);
            }
        }
        context
    }
}

fn no_session(cause: NoSession) -> SignatureError {
    match cause {
        NoSession::Unknown => SignatureError::UnknownToken,
        NoSession::Expired => SignatureError::ExpiredToken,
    }
}

fn of_this_session(text: &str) -> Result<Arc<Document>, SignatureError> {
    // It was checked when the session was made.
    Document::parse(text, Kind::Identity).map(Arc::new).map_err(|_| SignatureError::UnknownKey)
}

/// Whether a request names an access key as this server makes them, wherever its signature stands.
fn bears_key_of_our_form(head: &http::request::Parts) -> bool {
    credential(&head.headers, head.uri.query()).is_some_and(|id| id.starts_with("AKIA") || id.starts_with("ASIA"))
}

fn credential<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        return Some(authorization.to_str().ok()?.split_once("Credential=")?.1);
    }
    query?.split_once("X-Amz-Credential=").map(|(_, rest)| rest)
}
