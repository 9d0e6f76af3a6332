//! The table of resources: what each operation is on, a line each. Its action stands in the service's model.

use hearth_api::{Matched, Operation};
use hearth_types::{Place, Target};

use super::Said;

/// What a request is on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resource {
    /// `*` for operations that are on nothing.
    pub(super) arn: String,
    /// What may have a policy of its own that lets others do it.
    pub(super) bearer: Bearer,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Bearer {
    Nothing,
    Function(Target),
    /// Its ARN.
    LayerVersion(String),
}

/// What kind of resource an operation is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    /// None: `*`.
    Nothing,
    /// The function as a whole.
    Function,
    /// The function as the body names it.
    FunctionOfBody,
    /// The function, or the version or alias that is asked for.
    Qualified,
    Layer,
    LayerVersion,
    /// Whatever the ARN in this place of the path names.
    Named(&'static str),
    /// A layer's version by its ARN in the query.
    LayerVersionByArn,
    Mapping,
    CapacityProvider,
}

fn on(operation: Operation) -> On {
    use Operation as O;
    match operation {
        O::AddLayerVersionPermission => On::LayerVersion,
        O::AddPermission => On::Qualified,
        O::CheckpointDurableExecution => On::Named("DurableExecutionArn"),
        O::CreateAlias => On::Function,
        O::CreateCapacityProvider => On::Nothing,
        O::CreateCodeSigningConfig => On::Nothing,
        O::CreateEventSourceMapping => On::Nothing,
        O::CreateFunction => On::FunctionOfBody,
        O::CreateFunctionUrlConfig => On::Qualified,
        O::DeleteAlias => On::Function,
        O::DeleteCapacityProvider => On::CapacityProvider,
        O::DeleteCodeSigningConfig => On::Named("CodeSigningConfigArn"),
        O::DeleteEventSourceMapping => On::Mapping,
        O::DeleteFunction => On::Qualified,
        O::DeleteFunctionCodeSigningConfig => On::Function,
        O::DeleteFunctionConcurrency => On::Function,
        O::DeleteFunctionEventInvokeConfig => On::Qualified,
        O::DeleteFunctionUrlConfig => On::Qualified,
        O::DeleteLayerVersion => On::LayerVersion,
        O::DeleteProvisionedConcurrencyConfig => On::Qualified,
        O::GetAccountSettings => On::Nothing,
        O::GetAlias => On::Function,
        O::GetCapacityProvider => On::CapacityProvider,
        O::GetCodeSigningConfig => On::Named("CodeSigningConfigArn"),
        O::GetDurableExecution => On::Named("DurableExecutionArn"),
        O::GetDurableExecutionHistory => On::Named("DurableExecutionArn"),
        O::GetDurableExecutionState => On::Named("DurableExecutionArn"),
        O::GetEventSourceMapping => On::Mapping,
        O::GetFunction => On::Qualified,
        O::GetFunctionCodeSigningConfig => On::Function,
        O::GetFunctionConcurrency => On::Function,
        O::GetFunctionConfiguration => On::Qualified,
        O::GetFunctionEventInvokeConfig => On::Qualified,
        O::GetFunctionRecursionConfig => On::Function,
        O::GetFunctionScalingConfig => On::Qualified,
        O::GetFunctionUrlConfig => On::Qualified,
        O::GetLayerVersion => On::LayerVersion,
        O::GetLayerVersionByArn => On::LayerVersionByArn,
        O::GetLayerVersionPolicy => On::LayerVersion,
        O::GetPolicy => On::Qualified,
        O::GetProvisionedConcurrencyConfig => On::Qualified,
        O::GetRuntimeManagementConfig => On::Qualified,
        O::Invoke => On::Qualified,
        O::InvokeAsync => On::Qualified,
        O::InvokeWithResponseStream => On::Qualified,
        O::ListAliases => On::Function,
        O::ListCapacityProviders => On::Nothing,
        O::ListCodeSigningConfigs => On::Nothing,
        O::ListDurableExecutionsByFunction => On::Qualified,
        O::ListEventSourceMappings => On::Nothing,
        O::ListFunctionEventInvokeConfigs => On::Function,
        O::ListFunctionUrlConfigs => On::Function,
        O::ListFunctionVersionsByCapacityProvider => On::CapacityProvider,
        O::ListFunctions => On::Nothing,
        O::ListFunctionsByCodeSigningConfig => On::Named("CodeSigningConfigArn"),
        O::ListLayerVersions => On::Layer,
        O::ListLayers => On::Nothing,
        O::ListProvisionedConcurrencyConfigs => On::Function,
        O::ListTags => On::Named("Resource"),
        O::ListVersionsByFunction => On::Function,
        O::PublishLayerVersion => On::Layer,
        O::PublishVersion => On::Function,
        O::PutFunctionCodeSigningConfig => On::Function,
        O::PutFunctionConcurrency => On::Function,
        O::PutFunctionEventInvokeConfig => On::Qualified,
        O::PutFunctionRecursionConfig => On::Function,
        O::PutFunctionScalingConfig => On::Qualified,
        O::PutProvisionedConcurrencyConfig => On::Qualified,
        O::PutRuntimeManagementConfig => On::Qualified,
        O::RemoveLayerVersionPermission => On::LayerVersion,
        O::RemovePermission => On::Qualified,
        O::SendDurableExecutionCallbackFailure => On::Nothing,
        O::SendDurableExecutionCallbackHeartbeat => On::Nothing,
        O::SendDurableExecutionCallbackSuccess => On::Nothing,
        O::StopDurableExecution => On::Named("DurableExecutionArn"),
        O::TagResource => On::Named("Resource"),
        O::UntagResource => On::Named("Resource"),
        O::UpdateAlias => On::Function,
        O::UpdateCapacityProvider => On::CapacityProvider,
        O::UpdateCodeSigningConfig => On::Named("CodeSigningConfigArn"),
        O::UpdateEventSourceMapping => On::Mapping,
        O::UpdateFunctionCode => On::Function,
        O::UpdateFunctionConfiguration => On::Function,
        O::UpdateFunctionEventInvokeConfig => On::Qualified,
        O::UpdateFunctionUrlConfig => On::Qualified,
    }
}

impl Resource {
    /// Of a request. A name that means nothing here stands in the ARN as it is: no operation takes it.
    pub(super) fn of(place: &Place, matched: &Matched, said: &Said) -> Self {
        let label = |name| matched.label(name).unwrap_or_default();
        let kind = on(matched.operation);
        match kind {
            On::Nothing => Self::plain("*"),
            On::Function => Self::of_function(place, label("FunctionName"), None, false),
            On::FunctionOfBody => {
                Self::of_function(place, said.function_name.as_deref().unwrap_or_default(), None, false)
            }
            On::Qualified => {
                let qualifier = matched.parameter("Qualifier");
                Self::of_function(place, label("FunctionName"), qualifier.as_deref(), true)
            }
            On::Layer => Self::plain(layer(place, label("LayerName"))),
            On::LayerVersion => {
                Self::of_layer_version(&format!("{}:{}", layer(place, label("LayerName")), label("VersionNumber")))
            }
            On::LayerVersionByArn => Self::of_layer_version(&matched.parameter("Arn").unwrap_or_default()),
            On::Named("Resource") => Self::of_arn(place, label("Resource")),
            On::Named(name) => Self::plain(label(name)),
            On::Mapping => Self::plain(arn(place, "event-source-mapping", label("UUID"))),
            On::CapacityProvider => Self::plain(arn(place, "capacity-provider", label("CapacityProviderName"))),
        }
    }

    pub(super) fn of_layer_version(arn: &str) -> Self {
        Self { arn: arn.to_owned(), bearer: Bearer::LayerVersion(arn.to_owned()) }
    }

    fn plain(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), bearer: Bearer::Nothing }
    }

    fn of_arn(place: &Place, arn: &str) -> Self {
        match arn.split(':').nth(5) {
            Some("function") => Self::of_function(place, arn, None, true),
            _ => Self::plain(arn),
        }
    }

    fn of_function(place: &Place, name: &str, qualifier: Option<&str>, is_qualified: bool) -> Self {
        match place.resolve(name, qualifier) {
            Ok(target) => {
                let target = Target { qualifier: target.qualifier.filter(|_| is_qualified), ..target };
                Self { arn: place.arn_as_asked(&target).to_string(), bearer: Bearer::Function(target) }
            }
            Err(_) if name.starts_with("arn:") => Self::plain(name),
            Err(_) => Self::plain(arn(place, "function", name)),
        }
    }
}

fn layer(place: &Place, name: &str) -> String {
    if name.starts_with("arn:") { name.to_owned() } else { arn(place, "layer", name) }
}

fn arn(place: &Place, kind: &str, name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:{kind}:{name}", place.region, place.account)
}

#[cfg(test)]
mod tests {
    use hearth_api::route;

    use super::*;

    fn arn_of(method: &str, path: &str, query: &str) -> String {
        let place = Place { region: "us-east-1".into(), account: "000000000000".into() };
        let matched = route(method, path, Some(query)).unwrap();
        Resource::of(&place, &matched, &Said::default()).arn
    }

    #[test]
    fn an_operation_is_on_its_resource() {
        let arn = |rest: &str| format!("arn:aws:lambda:us-east-1:000000000000:{rest}");
        let invoke = "/2015-03-31/functions/f/invocations";
        assert_eq!(arn_of("POST", invoke, ""), arn("function:f"));
        assert_eq!(arn_of("POST", invoke, "Qualifier=p"), arn("function:f:p"));
        assert_eq!(arn_of("POST", "/2015-03-31/functions/f%3Ap/invocations", ""), arn("function:f:p"));
        assert_eq!(arn_of("GET", "/2015-03-31/functions/f/aliases/p", ""), arn("function:f"));
        assert_eq!(arn_of("GET", "/2015-03-31/functions/f/aliases", ""), arn("function:f"));
        assert_eq!(arn_of("GET", "/2015-03-31/functions", ""), "*");
        assert_eq!(arn_of("GET", "/2018-10-31/layers/l/versions/3", ""), arn("layer:l:3"));
        assert_eq!(arn_of("POST", "/2018-10-31/layers/l/versions", ""), arn("layer:l"));
        let by_arn = format!("find=LayerVersion&Arn={}", arn("layer:l:3"));
        assert_eq!(arn_of("GET", "/2018-10-31/layers", &by_arn), arn("layer:l:3"));
        let uuid = "7a0c9a4c-6a1b-4d4e-8f6a-0123456789ab";
        let mapping = format!("/2015-03-31/event-source-mappings/{uuid}");
        assert_eq!(arn_of("DELETE", &mapping, ""), arn(&format!("event-source-mapping:{uuid}")));
        let tags = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";
        assert_eq!(arn_of("GET", tags, ""), arn("function:f"));
    }

    #[test]
    fn names_that_mean_nothing_here_stay_as_they_are() {
        let theirs = "arn:aws:lambda:us-east-1:111111111111:function:f";
        let path = format!("/2015-03-31/functions/{}/invocations", theirs.replace(':', "%3A"));
        assert_eq!(arn_of("POST", &path, ""), theirs);
        let two = arn_of("POST", "/2015-03-31/functions/f%3A1/invocations", "Qualifier=2");
        assert_eq!(two, "arn:aws:lambda:us-east-1:000000000000:function:f:1");
    }
}
