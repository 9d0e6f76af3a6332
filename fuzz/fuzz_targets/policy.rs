//! A policy document, read as each kind there is and asked.
#![no_main]

use hearth_identity::policy::{Asked, Context, Document, Granted, Kind, Principal};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let context = Context::default()
        .with("aws:SourceIp", "127.0.0.1")
        .with("aws:CurrentTime", "2024-03-05T12:00:00Z")
        .with("aws:username", "ann");
    let account = "000000000000".to_owned();
    let ann = Principal::User { account, arn: "arn:aws:iam::000000000000:user/ann".to_owned() };
    let resource = "arn:aws:lambda:us-east-1:000000000000:function:f:prod";
    let asked = Asked { action: "lambda:InvokeFunction", resource, context: &context };
    for kind in [Kind::Identity, Kind::Resource, Kind::Trust] {
        let Ok(document) = Document::parse(text, kind) else { continue };
        let granted = document.grants(&ann, asked);
        assert_eq!(granted, document.grants(&ann, asked));
        if kind == Kind::Identity
            && let Some(denying) = with_denial(text)
            && let Ok(document) = Document::parse(&denying, kind)
        {
            assert_eq!(document.grants(&ann, asked), Granted::Denied, "what denies wins: {denying}");
        }
    }
});

/// The same with a statement more, which denies everything.
fn with_denial(text: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(text).ok()?;
    let statement = document.get_mut("Statement")?;
    let denial = json!({ "Effect": "Deny", "Action": "*", "Resource": "*" });
    match statement {
        Value::Array(all) => all.push(denial),
        one => *one = json!([one.take(), denial]),
    }
    Some(document.to_string())
}
