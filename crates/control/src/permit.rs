//! Whether a caller may do what a request asks for: its action on its resource, and what it makes use of besides. Asked
//! before the request is read as a whole, so that whoever may not learns nothing.

mod resources;
mod said;

use hearth_api::{ApiError, Matched, Operation};
use hearth_identity::policy::{Context, Denial, Document, Kind, Principal, Source};
use hearth_identity::{AccessDenied, Caller};
use hearth_types::Target;
use hearth_types::keys::Part;
use hearth_types::policy::Policy;
use tracing::error;

use crate::permit::resources::{Bearer, Resource};
pub use crate::permit::said::Said;
use crate::{Control, code_source::NoObject};

/// Who may take a role on.
pub(crate) const LAMBDA: &str = "lambda.amazonaws.com";

impl Control {
    /// Lets a caller on who may do this.
    ///
    /// # Errors
    /// AccessDenied with the text of what it lacks first; and when the records cannot be read.
    pub async fn permit(&self, caller: &Caller, matched: &Matched, said: &Said) -> Result<(), ApiError> {
        if caller.is_unchecked() {
            return Ok(());
        }
        let resource = Resource::of(&self.parts.place, matched, said);
        let keys = said.keys(matched, &self.parts.place);
        let action = matched.operation.iam_action();
        let known = self.known(caller, &resource).await?;
        self.may(caller, action, &resource, over(&keys, &known)).await?;
        // A mapping that is led elsewhere is taken from its function too.
        if matched.operation == Operation::UpdateEventSourceMapping {
            self.may(caller, action, &resource, over(&known, &keys)).await?;
        }
        self.permit_uses(caller, matched.operation, &resource, said).await
    }

    /// An operation's error with the reason that a client is given. Only CreateFunction gives none for a function of
    /// another account (observed).
    #[must_use]
    pub fn told(&self, matched: &Matched, error: ApiError) -> ApiError {
        let names_one = matched.label("FunctionName").or_else(|| matched.label("Resource")).is_some();
        if !error.is_bare_denial() || !names_one {
            return error;
        }
        let resource = Resource::of(&self.parts.place, matched, &Said::default()).arn;
        self.denied_elsewhere(matched.operation.iam_action(), &resource)
    }

    /// What the owner of this account is told of what is another account's: none of its policies lets him.
    pub(crate) fn denied_elsewhere(&self, action: &str, resource: &str) -> ApiError {
        let owner = Principal::Root { account: self.parts.place.account.to_string() };
        ApiError::access_denied(Some(Denial::Nothing(Source::Resource).message(&owner, action, resource)))
    }

    /// Asks by the caller's own policies; only if they do not allow it by the resource's, which never denies.
    async fn may(&self, caller: &Caller, action: &str, resource: &Resource, keys: Context) -> Result<(), ApiError> {
        let arn = &resource.arn;
        let Err(denied) = caller.may_in(action, arn, None, keys.clone()) else { return Ok(()) };
        match self.policy_of(&resource.bearer).await? {
            None => Err(access_denied(&denied)),
            Some(policy) => caller.may_in(action, arn, Some(&policy), keys).map_err(|denied| access_denied(&denied)),
        }
    }

    /// What a request makes use of besides its own resource.
    async fn permit_uses(
        &self,
        caller: &Caller,
        operation: Operation,
        resource: &Resource,
        said: &Said,
    ) -> Result<(), ApiError> {
        if let Some(role) = said.role(operation) {
            let keys = [("iam:PassedToService", LAMBDA), ("iam:AssociatedResourceArn", &*resource.arn)];
            caller.may("iam:PassRole", role, None, &keys).map_err(|denied| access_denied(&denied))?;
        }
        for layer in said.layers(operation) {
            self.may(
                caller,
                "lambda:GetLayerVersion",
                &Resource::of_layer_version(&self.parts.place, layer),
                Context::default(),
            )
            .await?;
        }
        match said.object(operation) {
            None => Ok(()),
            Some(object) => {
                let (bucket, key) = (object.bucket, object.key);
                let action = if object.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
                let may = caller.may(action, &format!("arn:aws:s3:::{bucket}/{key}"), None, &[]);
                may.map_err(|_| denied_by_s3(bucket, key))
            }
        }
    }

    /// Keys that only records tell.
    async fn known(&self, caller: &Caller, resource: &Resource) -> Result<Context, ApiError> {
        if let Some(uuid) = resource.mapping(&self.parts.place) {
            return self.known_of_mapping(uuid).await;
        }
        let mut known = Context::default();
        if !caller.needs_resource_tags() {
            return Ok(known);
        }
        let tags = match &resource.bearer {
            Bearer::Function(target) => self.function(target).await.map(|function| function.record.tags),
            _ => self.code_signing_config(&resource.arn).await.map(|(_, config)| config.record.tags),
        };
        // What is not there has none.
        for (key, value) in tags.unwrap_or_default() {
            known.set(&format!("aws:ResourceTag/{key}"), value);
        }
        Ok(known)
    }

    async fn policy_of(&self, bearer: &Bearer) -> Result<Option<Document>, ApiError> {
        let policy = match bearer {
            Bearer::Nothing => None,
            Bearer::Function(target) => self.policy_of_function(target).await?,
            Bearer::LayerVersion(arn) => match self.layer_version_name(arn) {
                Ok(name) => self.layer_version(&name.layer, name.number).await?.and_then(|version| version.policy),
                // There is no such layer here.
                Err(_) => None,
            },
        };
        let Some(policy) = policy else { return Ok(None) };
        Document::parse(&policy.document(), Kind::Resource).map(Some).map_err(|cause| {
            error!("a policy cannot be read: {cause}");
            ApiError::service("A policy cannot be read.")
        })
    }

    /// `$LATEST` by its name has none: what is kept under it is the unqualified function's.
    async fn policy_of_function(&self, target: &Target) -> Result<Option<Policy>, ApiError> {
        if target.qualifier.as_deref() == Some("$LATEST") {
            return Ok(None);
        }
        Ok(self.part(Part::Policy, target).await?.map(|loaded| loaded.record))
    }
}

/// All keys of both; where both have one, that of the first counts.
fn over(first: &Context, second: &Context) -> Context {
    let mut both = second.clone();
    both.extend(first.clone());
    both
}

pub(crate) fn access_denied(denied: &AccessDenied) -> ApiError {
    ApiError::access_denied(Some(denied.to_string()))
}

fn denied_by_s3(bucket: &str, key: &str) -> ApiError {
    let cause = NoObject::Refused { code: "AccessDenied".to_owned(), message: "Access Denied".to_owned() };
    ApiError::access_denied(Some(format!(
        "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for \
         {bucket}/{key}. {cause}"
    )))
}
