//! Function URLs: an HTTP request becomes an event, and what the function answers becomes the response.
//!
//! All but the invoke itself is pure. Whoever has the connection finds the URL, lets [`Sharing::preflight`] answer what a
//! browser asks ahead, finds out who asks and whether that one may ([`FunctionUrl::permits`]), makes the event with
//! [`UrlRequest::event`], runs it, and maps the outcome with [`respond()`]; [`Sharing::apply`] has the last word on the
//! response's headers.

mod answer;
mod compact;
mod cookie;
mod cors;
mod event;
mod invoke;
mod prelude;
mod refusal;
mod respond;

use std::sync::Arc;

use hearth_identity::Caller;
use hearth_identity::policy::{Context, Document};
use hearth_types::settings::{Cors, UrlAuth, UrlConfig};
use hearth_types::{FunctionArn, Place, Qualifier, UrlHost};

use crate::snapshot::FunctionSnapshot;
pub use crate::url::cors::Sharing;
pub use crate::url::event::{Signer, UrlRequest};
pub use crate::url::invoke::{shown_trace_id, trace_id_of_event};
pub use crate::url::refusal::{forbidden, unknown};
pub use crate::url::respond::respond;

/// What policies must allow.
const ACTION: &str = "lambda:InvokeFunctionUrl";

/// A function URL as the snapshot has it.
#[derive(Clone, Debug)]
pub struct FunctionUrl {
    function: String,
    /// None for the unqualified function.
    qualifier: Option<String>,
    arn: FunctionArn,
    config: Arc<UrlConfig>,
    policy: Option<Arc<Document>>,
}

impl FunctionUrl {
    /// The URL that a request's Host names.
    #[must_use]
    pub fn find(functions: &FunctionSnapshot, place: &Place, host: &UrlHost) -> Option<Self> {
        let owner = functions.owner_of_url(&host.id).filter(|_| host.region == *place.region)?;
        let entry = functions.get(&owner.function)?;
        let config = entry.urls.get(&owner.qualifier).filter(|config| config.id == host.id)?;
        let qualifier =
            Some(owner.qualifier.clone()).filter(|text| Qualifier::from(text.as_str()) != Qualifier::Latest);
        Some(Self {
            arn: FunctionArn { qualifier: qualifier.clone(), ..place.arn(&owner.function) },
            policy: entry.policies.get(&owner.qualifier).cloned(),
            config: Arc::clone(config),
            function: owner.function,
            qualifier,
        })
    }

    /// Whether callers sign.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.config.auth == UrlAuth::AwsIam
    }

    /// What pages of other origins may do.
    #[must_use]
    pub fn cors(&self) -> Option<&Cors> {
        self.config.cors.as_ref()
    }

    /// Whether a caller may use it: by its own policies or by the function's. Nobody but the function's policy lets those
    /// in who are not asked for a signature.
    #[must_use]
    pub fn permits(&self, caller: &Caller) -> bool {
        let kind = match self.config.auth {
            UrlAuth::None => "NONE",
            UrlAuth::AwsIam => "AWS_IAM",
        };
        let keys =
            Context::default().with("lambda:FunctionUrlAuthType", kind).with("lambda:InvokedViaFunctionUrl", "true");
        caller.may_in(ACTION, &self.arn.to_string(), self.policy.as_deref(), keys).is_ok()
    }
}
