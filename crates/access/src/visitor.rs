//! Somebody at the door: let in unasked, or with a signature that is held against the body once that is there.

use std::sync::Arc;

use hearth_identity::Caller;
use hearth_identity::sigv4::{Body, Claim, Payload, Request, Service, SigningKey};

use crate::access::Access;
use crate::refusal::NotAdmitted;

/// Whoever sent a request, before its signature is checked.
pub struct Visitor<'a>(State<'a>);

enum State<'a> {
    Unasked(Arc<Caller>),
    Signed(Box<Signed<'a>>),
}

struct Signed<'a> {
    access: &'a Access,
    request: Request<'a>,
    service: &'a str,
    claim: Claim,
    key: SigningKey,
    caller: Caller,
}

impl<'a> Visitor<'a> {
    pub(crate) fn unasked(caller: Arc<Caller>) -> Self {
        Self(State::Unasked(caller))
    }

    pub(crate) fn signed(
        access: &'a Access,
        request: Request<'a>,
        service: &'a str,
        claim: Claim,
        key: SigningKey,
        caller: Caller,
    ) -> Self {
        Self(State::Signed(Box::new(Signed { access, request, service, claim, key, caller })))
    }

    /// Lets in whoever signed this body.
    ///
    /// # Errors
    /// When the signature is another one, or of another time.
    pub fn admit(self, body: &[u8]) -> Result<Arc<Caller>, NotAdmitted> {
        match self.0 {
            State::Unasked(caller) => Ok(caller),
            State::Signed(signed) => signed.check(Payload::Whole(body)).map(|(caller, _)| caller),
        }
    }

    /// The same for a body that is still to come; S3 takes such. The second is what it must be, none where nobody asks.
    ///
    /// # Errors
    /// As above.
    pub fn admit_ahead(self) -> Result<(Arc<Caller>, Option<Body>), NotAdmitted> {
        match self.0 {
            State::Unasked(caller) => Ok((caller, None)),
            State::Signed(signed) => signed.check(Payload::Later).map(|(caller, body)| (caller, Some(body))),
        }
    }
}

impl Signed<'_> {
    fn check(self, payload: Payload<'_>) -> Result<(Arc<Caller>, Body), NotAdmitted> {
        let Self { access, request, service, claim, key, caller } = self;
        let regions = access.regions(service);
        let service = Service { name: service, regions: &regions };
        let body = claim.check(&key, service, request, payload, access.signing_time())?;
        access.signing_keys().keep(&claim, key);
        Ok((Arc::new(caller), body))
    }
}
