//! Which request is which operation.

use hearth_api::Operation;

use crate::matched;

fn operation(request: &str) -> Operation {
    matched(request).unwrap_or_else(|error| panic!("{request}: {error}")).operation
}

#[track_caller]
fn assert_unknown(request: &str) {
    let error = matched(request).expect_err(request);
    assert_eq!((error.kind.code, error.kind.status), ("UnknownOperationException", 404), "{request}");
}

#[test]
fn functions_have_their_routes() {
    for (request, wanted) in [
        ("POST /2015-03-31/functions", Operation::CreateFunction),
        ("GET /2015-03-31/functions", Operation::ListFunctions),
        ("GET /2015-03-31/functions/f", Operation::GetFunction),
        ("DELETE /2015-03-31/functions/f", Operation::DeleteFunction),
        ("GET /2015-03-31/functions/f/configuration", Operation::GetFunctionConfiguration),
        ("PUT /2015-03-31/functions/f/configuration", Operation::UpdateFunctionConfiguration),
        ("PUT /2015-03-31/functions/f/code", Operation::UpdateFunctionCode),
        ("POST /2015-03-31/functions/f/invocations", Operation::Invoke),
        ("POST /2014-11-13/functions/f/invoke-async", Operation::InvokeAsync),
        ("POST /2021-11-15/functions/f/response-streaming-invocations", Operation::InvokeWithResponseStream),
        ("GET /2016-08-19/account-settings", Operation::GetAccountSettings),
    ] {
        assert_eq!(operation(request), wanted, "{request}");
    }
}

#[test]
fn a_slash_at_the_end_is_accepted() {
    assert_eq!(operation("POST /2015-03-31/functions/"), Operation::CreateFunction);
    assert_eq!(operation("GET /2015-03-31/event-source-mappings/?Marker=x"), Operation::ListEventSourceMappings);
    assert_unknown("GET /2015-03-31/functions//");
}

#[test]
fn operations_on_one_path_are_told_apart() {
    assert_eq!(operation("GET /2018-10-31/layers"), Operation::ListLayers);
    assert_eq!(operation("GET /2018-10-31/layers?find=LayerVersion&Arn=x"), Operation::GetLayerVersionByArn);
    let path = "/2019-09-30/functions/f/provisioned-concurrency";
    assert_eq!(operation(&format!("GET {path}?List=ALL")), Operation::ListProvisionedConcurrencyConfigs);
    assert_eq!(operation(&format!("GET {path}?Qualifier=1")), Operation::GetProvisionedConcurrencyConfig);
    assert_eq!(operation(&format!("GET {path}")), Operation::GetProvisionedConcurrencyConfig);
    let path = "/2019-09-25/functions/f/event-invoke-config";
    assert_eq!(operation(&format!("PUT {path}")), Operation::PutFunctionEventInvokeConfig);
    assert_eq!(operation(&format!("POST {path}")), Operation::UpdateFunctionEventInvokeConfig);
    assert_eq!(operation(&format!("GET {path}/list")), Operation::ListFunctionEventInvokeConfigs);
    assert_eq!(operation("GET /2021-10-31/functions/f/url"), Operation::GetFunctionUrlConfig);
    assert_eq!(operation("GET /2021-10-31/functions/f/urls"), Operation::ListFunctionUrlConfigs);
}

#[test]
fn labels_are_decoded_after_matching() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST";
    let request = format!("GET /2015-03-31/functions/{}", arn.replace(':', "%3A").replace('$', "%24"));
    assert_eq!(matched(&request).unwrap().label("FunctionName"), Some(arn));
    let execution = "arn%3Aaws%3Alambda%3Ar%3A123456789012%3Afunction%3Af%3A1%2Fdurable-execution%2Fn%2Fi";
    let found = matched(&format!("GET /2025-12-01/durable-executions/{execution}/history")).unwrap();
    assert_eq!(found.operation, Operation::GetDurableExecutionHistory);
    assert!(found.label("DurableExecutionArn").unwrap().ends_with("/durable-execution/n/i"));
    let found = matched("GET /2015-03-31/functions/f%2Fconfiguration").unwrap();
    assert_eq!((found.operation, found.label("FunctionName")), (Operation::GetFunction, Some("f/configuration")));
}

#[test]
fn what_no_route_fits_is_unknown() {
    for request in [
        "GET /",
        "GET /2015-03-31",
        "GET /2099-01-01/functions",
        "PATCH /2015-03-31/functions/f",
        "get /2015-03-31/functions/f",
        "GET 2015-03-31/functions/f",
        "GET //2015-03-31/functions",
        "GET /2015-03-31//functions",
        "GET /2015-03-31/functions//configuration",
        "GET /2015-03-31/functions/../functions",
        "GET /2015-03-31/functions/..",
        "GET /2015-03-31/functions/%2e%2E",
        "GET /2015-03-31/functions/.",
        "GET /2015-03-31/functions/a%00b",
        "GET /2015-03-31/functions/%ff",
        "GET /2015-03-31/functions/%4",
        "GET /2015-03-31/functions/f/configuration/more",
        "GET /2015-03-31%2Ffunctions/f",
    ] {
        assert_unknown(request);
    }
}

#[test]
fn the_table_is_complete() {
    assert_eq!(Operation::ALL.len(), 85);
    for (index, operation) in Operation::ALL.iter().enumerate() {
        assert_eq!(*operation as usize, index);
        assert_eq!(operation.name(), format!("{operation:?}"));
        assert!(operation.iam_action().starts_with("lambda:"));
        assert!(operation.status().is_success(), "{operation:?}");
    }
    assert_eq!(Operation::Invoke.iam_action(), "lambda:InvokeFunction");
    assert_eq!(Operation::CreateFunction.iam_action(), "lambda:CreateFunction");
    assert_eq!(Operation::CreateFunction.status(), 201);
    assert_eq!(Operation::DeleteFunction.status(), 204);
    let streams: Vec<_> = Operation::ALL.iter().copied().filter(|o| o.streams()).collect();
    assert_eq!(streams, [Operation::InvokeWithResponseStream]);
}
