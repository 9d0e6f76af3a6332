//! What holds for every request.

use bytes::Bytes;
use hearth_api::{Operation, check, route};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use crate::matched;

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Bodies that are near to what operations take.
fn near_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        ".{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let names = prop_oneof![
        Just("FunctionName"),
        Just("Role"),
        Just("Code"),
        Just("ZipFile"),
        Just("Environment"),
        Just("Variables"),
        Just("Layers"),
        Just("Timeout"),
        Just("VpcConfig"),
        Just("FileSystemConfigs"),
        Just("RoutingConfig"),
        Just("AdditionalVersionWeights"),
        Just("StartingPositionTimestamp"),
    ];
    let tree = scalar.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    (tree, 0..10_usize)
        .prop_map(|(text, cut)| text.chars().take(text.chars().count().saturating_sub(cut / 8)).collect())
}

proptest! {
    #[test]
    fn routing_takes_anything(method in "[A-Z]{0,7}", path in ".{0,80}", query in prop::option::of(".{0,40}")) {
        let _ = route(&method, &path, query.as_deref());
    }

    #[test]
    fn routing_takes_anything_that_looks_like_a_route(
        method in "GET|PUT|POST|DELETE",
        parts in prop::collection::vec(
            "2015-03-31|2018-10-31|functions|layers|versions|configuration|aliases|\\.\\.|%2e|%[0-9a-f]{2}|[^/]{0,8}",
            0..7,
        ),
        query in prop::option::of("(find=LayerVersion|List=ALL|%[0-9a-f]|&|.){0,4}"),
    ) {
        let path = format!("/{}", parts.join("/"));
        if let Ok(found) = route(&method, &path, query.as_deref()) {
            prop_assert_ne!(found.label("FunctionName"), Some(""));
            prop_assert_ne!(found.label("FunctionName"), Some(".."));
        }
    }

    #[test]
    fn an_encoded_label_never_leads_elsewhere(name in "[^\\x00]{1,40}") {
        let found = matched(&format!("GET /2015-03-31/functions/{}/configuration", percent_encoded(&name)));
        if name == "." || name == ".." {
            prop_assert!(found.is_err());
        } else {
            let found = found.unwrap();
            prop_assert_eq!(found.operation, Operation::GetFunctionConfiguration);
            prop_assert_eq!(found.label("FunctionName"), Some(name.as_str()));
        }
    }

    #[test]
    fn decoding_takes_anything(
        request in prop_oneof![
            Just("POST /2015-03-31/functions"),
            Just("PUT /2015-03-31/functions/f/configuration"),
            Just("PUT /2015-03-31/functions/f/code"),
            Just("POST /2015-03-31/functions/f/aliases"),
            Just("POST /2015-03-31/event-source-mappings"),
            Just("POST /2015-03-31/functions/f/invocations"),
            Just("POST /2025-12-01/durable-execution-callbacks/YQ==/fail"),
        ],
        header in prop::collection::vec(32_u8..=255, 0..20),
        body in near_json(),
    ) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            headers.insert("x-amz-invocation-type", value);
        }
        if let Err(error) = check(&matched(request).unwrap(), &headers, Bytes::from(body)) {
            prop_assert!(matches!(error.kind.code, "ValidationException" | "SerializationException"), "{}", error);
        }
    }

    #[test]
    fn decoding_takes_any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&matched("POST /2015-03-31/functions").unwrap(), &HeaderMap::new(), body.into());
    }
}
