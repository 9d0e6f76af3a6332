//! The table of resources: what each operation is on, a line each. Its action stands in the service's model.

use hearth_api::{Matched, Operation};
use hearth_types::{Place, Target};

use super::Said;
use crate::layers::{is_at, layer_here, number_of};
use crate::mappings::one_form;
use crate::signing::id_here;

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
    /// Of a request. Whatever form of a name a client chooses, the ARN is that of what the operation will find by it:
    /// what denies must not depend on how somebody writes. A name that means nothing here stands in the ARN as it is: no
    /// operation takes it.
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
                let arn = format!("{}:{}", layer(place, label("LayerName")), label("VersionNumber"));
                Self::of_layer_version(place, &arn)
            }
            On::LayerVersionByArn => Self::of_layer_version(place, &matched.parameter("Arn").unwrap_or_default()),
            On::Named("Resource") => Self::of_arn(place, label("Resource")),
            On::Named("CodeSigningConfigArn") => Self::plain(code_signing_config(place, label("CodeSigningConfigArn"))),
            On::Named(name) => Self::plain(label(name)),
            On::Mapping => Self::plain(mapping(place, label("UUID"))),
            On::CapacityProvider => Self::plain(arn(place, "capacity-provider", label("CapacityProviderName"))),
        }
    }

    pub(super) fn of_layer_version(place: &Place, arn: &str) -> Self {
        let arn = layer_version(place, arn);
        Self { bearer: Bearer::LayerVersion(arn.clone()), arn }
    }

    /// The UUID of the event source mapping that it is.
    pub(super) fn mapping(&self, place: &Place) -> Option<&str> {
        self.arn.strip_prefix(&*arn(place, "event-source-mapping", ""))
    }

    fn plain(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), bearer: Bearer::Nothing }
    }

    fn of_arn(place: &Place, arn: &str) -> Self {
        match arn.split(':').collect::<Vec<_>>().as_slice() {
            [_, _, _, _, _, "function", ..] => Self::of_function(place, arn, None, true),
            [_, _, _, _, _, "code-signing-config", ..] => Self::plain(code_signing_config(place, arn)),
            [_, _, _, region, account, "event-source-mapping", uuid, ..] if is_at(place, region, account) => {
                Self::plain(mapping(place, uuid))
            }
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
    layer_here(place, name).map_or_else(|| name.to_owned(), |name| arn(place, "layer", name))
}

pub(super) fn layer_version(place: &Place, text: &str) -> String {
    match (layer_here(place, text), number_of(text)) {
        (Some(name), Some(number)) => format!("{}:{number}", arn(place, "layer", name)),
        _ => text.to_owned(),
    }
}

pub(super) fn code_signing_config(place: &Place, text: &str) -> String {
    id_here(place, text).map_or_else(|| text.to_owned(), |id| arn(place, "code-signing-config", id))
}

fn mapping(place: &Place, uuid: &str) -> String {
    arn(place, "event-source-mapping", &one_form(uuid).unwrap_or_else(|| uuid.to_owned()))
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
    fn however_a_name_is_written_the_resource_is_the_same() {
        let arn = |rest: &str| format!("arn:aws:lambda:us-east-1:000000000000:{rest}");
        let written = |rest: &str| arn(rest).replace("arn:aws:", "arn:aws-cn:").replace(':', "%3A");
        let layers = "/2018-10-31/layers";
        for (layer, number) in [("l", "03"), ("l", "+3"), (&*written("layer:l"), "3"), (&*arn("layer:l"), "3")] {
            assert_eq!(arn_of("GET", &format!("{layers}/{layer}/versions/{number}"), ""), arn("layer:l:3"));
        }
        assert_eq!(arn_of("GET", &format!("{layers}/{}/versions", written("layer:l")), ""), arn("layer:l"));
        let by_arn = format!("find=LayerVersion&Arn={}", written("layer:l:03"));
        assert_eq!(arn_of("GET", layers, &by_arn), arn("layer:l:3"));
        let uuid = "7a0c9a4c-6a1b-4d4e-8f6a-0123456789ab";
        let mapping = arn(&format!("event-source-mapping:{uuid}"));
        for form in [uuid.to_uppercase(), uuid.replace('-', ""), format!("urn:uuid:{uuid}"), format!("%7B{uuid}%7D")] {
            assert_eq!(arn_of("GET", &format!("/2015-03-31/event-source-mappings/{form}"), ""), mapping, "{form}");
        }
        let tags = |rest: &str| arn_of("GET", &format!("/2017-03-31/tags/{}", written(rest)), "");
        assert_eq!(tags(&format!("event-source-mapping:{}", uuid.to_uppercase())), mapping);
        assert_eq!(tags("code-signing-config:csc-1"), arn("code-signing-config:csc-1"));
        assert_eq!(tags("function:f"), arn("function:f"));
        let config = format!("/2020-04-22/code-signing-configs/{}", written("code-signing-config:csc-1"));
        assert_eq!(arn_of("GET", &config, ""), arn("code-signing-config:csc-1"));
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
