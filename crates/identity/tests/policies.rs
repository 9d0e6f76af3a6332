//! The evaluator against a second, simple one over the documents' text; and documents as people write them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use hearth_identity::policy::{
    Asked, Context, Decision, Denial, Document, Granted, Kind, Policies, Principal, Source, evaluate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn session() -> Principal {
    Principal::Session {
        account: "000000000000".to_owned(),
        role_arn: ROLE.to_owned(),
        session_arn: "arn:aws:sts::000000000000:assumed-role/r/s".to_owned(),
    }
}

fn document(statement: Value, kind: Kind) -> Document {
    let text = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
    Document::parse(&text, kind).unwrap()
}

fn decide(identity: &[Value], resource: Option<Value>, action: &str, on: &str, context: &Context) -> Decision {
    let identity: Vec<Document> =
        identity.iter().map(|statement| document(statement.clone(), Kind::Identity)).collect();
    let resource = resource.map(|statement| document(statement, Kind::Resource));
    let identity: Vec<&Document> = identity.iter().collect();
    let policies = Policies { identity: &identity, session: None, resource: resource.as_ref() };
    evaluate(&session(), Asked { action, resource: on, context }, policies)
}

#[test]
fn what_denies_wins_and_what_nothing_allows_is_denied() {
    let (allow, deny) = (
        json!({"Effect": "Allow", "Action": "lambda:Invoke*", "Resource": FUNCTION}),
        json!({"Effect": "Deny", "Action": "lambda:*", "Resource": "*"}),
    );
    let none = Context::default();
    let invoke = |identity: &[Value], resource: Option<Value>| {
        decide(identity, resource, "lambda:InvokeFunction", FUNCTION, &none)
    };
    assert_eq!(invoke(std::slice::from_ref(&allow), None), Decision::Allowed);
    assert_eq!(invoke(&[], None), Decision::Denied(Denial::Nothing(Source::Identity)));
    assert_eq!(invoke(&[allow, deny], None), Decision::Denied(Denial::Explicit(Source::Identity)));
    let to = |principal: &str, effect: &str| {
        Some(json!({"Effect": effect, "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
                    "Principal": {"AWS": principal}}))
    };
    assert_eq!(invoke(&[], to(ROLE, "Allow")), Decision::Allowed);
    assert_eq!(invoke(&[], to("000000000000", "Allow")), Decision::Denied(Denial::Nothing(Source::Identity)));
    assert_eq!(invoke(&[], to("000000000000", "Deny")), Decision::Denied(Denial::Explicit(Source::Resource)));
    assert_eq!(invoke(&[], to("111111111111", "Deny")), Decision::Denied(Denial::Nothing(Source::Identity)));
}

#[test]
fn a_permission_for_an_alias_is_for_that_alias() {
    let alias = format!("{FUNCTION}:prod");
    let allow = json!({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": alias});
    let on = |arn: &str| decide(std::slice::from_ref(&allow), None, "lambda:InvokeFunction", arn, &Context::default());
    assert_eq!(on(&alias), Decision::Allowed);
    for other in [FUNCTION.to_owned(), format!("{FUNCTION}:1"), format!("{FUNCTION}:$LATEST")] {
        assert_ne!(on(&other), Decision::Allowed, "{other}");
    }
}

#[test]
fn denials_say_who_what_and_why() {
    let text = |denial: Denial| denial.message(&session(), "lambda:GetFunction", FUNCTION);
    assert_eq!(
        text(Denial::Nothing(Source::Identity)),
        "User: arn:aws:sts::000000000000:assumed-role/r/s is not authorized to perform: lambda:GetFunction on resource: \
         arn:aws:lambda:us-east-1:000000000000:function:f because no identity-based policy allows the \
         lambda:GetFunction action"
    );
    assert!(text(Denial::Explicit(Source::Identity)).ends_with(":f with an explicit deny in an identity-based policy"));
    assert!(text(Denial::Explicit(Source::Resource)).ends_with(":f with an explicit deny in a resource-based policy"));
}

#[test]
fn a_session_policy_only_takes_away() {
    let identity = document(json!({"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}), Kind::Identity);
    let narrow =
        document(json!({"Effect": "Allow", "Action": ["lambda:Get*", "s3:*"], "Resource": "*"}), Kind::Identity);
    let decide = |action: &str| {
        let asked = Asked { action, resource: FUNCTION, context: &Context::default() };
        let policies = Policies { identity: &[&identity], session: Some(&narrow), resource: None };
        evaluate(&session(), asked, policies)
    };
    assert_eq!(decide("lambda:GetFunction"), Decision::Allowed);
    assert_eq!(decide("lambda:DeleteFunction"), Decision::Denied(Denial::Nothing(Source::Session)));
    assert_eq!(decide("s3:GetObject"), Decision::Denied(Denial::Nothing(Source::Identity)));
}

#[test]
fn services_are_let_in_by_the_resources_policy() {
    let policy = document(
        json!({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
               "Principal": {"Service": "s3.amazonaws.com"},
               "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b*"},
                             "StringEquals": {"AWS:SourceAccount": "000000000000"}}}),
        Kind::Resource,
    );
    let ask = |service: &str, bucket: &str| {
        let context = Context::default()
            .with("aws:SourceArn", format!("arn:aws:s3:::{bucket}"))
            .with("aws:SourceAccount", "000000000000");
        let asked = Asked { action: "lambda:InvokeFunction", resource: FUNCTION, context: &context };
        let policies = Policies { resource: Some(&policy), ..Policies::default() };
        evaluate(&Principal::Service(service.to_owned()), asked, policies)
    };
    assert_eq!(ask("s3.amazonaws.com", "bucket"), Decision::Allowed);
    assert_eq!(ask("s3.amazonaws.com", "other"), Decision::Denied(Denial::Nothing(Source::Resource)));
    assert_eq!(ask("sns.amazonaws.com", "bucket"), Decision::Denied(Denial::Nothing(Source::Resource)));
}

#[test]
fn a_trust_policy_names_who_may_assume() {
    let trust = |principal: Value| {
        document(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}), Kind::Trust)
    };
    assert!(trust(json!({"Service": "lambda.amazonaws.com"})).trusts_service("lambda.amazonaws.com"));
    assert!(!trust(json!({"Service": "ec2.amazonaws.com"})).trusts_service("lambda.amazonaws.com"));
    let asked = Asked { action: "sts:AssumeRole", resource: ROLE, context: &Context::default() };
    assert_eq!(trust(json!({"AWS": "000000000000"})).grants(&session(), asked), Granted::ToAccount);
    assert_eq!(trust(json!({"AWS": ROLE})).grants(&session(), asked), Granted::Directly);
}

/// A variable that has no value must not widen anything.
#[test]
fn a_variable_without_a_value_widens_nothing() {
    let of = |effect: &str| json!({"Effect": effect, "Action": "*", "NotResource": "arn:aws:s3:::${aws:username}"});
    let all = json!({"Effect": "Allow", "Action": "*", "Resource": ["arn:aws:s3:::${aws:username}", "*"]});
    let ask = |identity: &[Value]| decide(identity, None, "s3:GetObject", "arn:aws:s3:::b", &Context::default());
    assert_eq!(ask(std::slice::from_ref(&all)), Decision::Allowed);
    assert_eq!(ask(&[of("Allow")]), Decision::Denied(Denial::Nothing(Source::Identity)));
    assert_eq!(ask(&[all, of("Deny")]), Decision::Denied(Denial::Explicit(Source::Identity)));
}

/// The second evaluator: no compiled form, no iteration but recursion, straight from the text of the language.
mod reference {
    use super::*;

    fn glob(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => glob(rest, text) || (!text.is_empty() && glob(pattern, &text[1..])),
            ([b'?', rest @ ..], [_, after @ ..]) => glob(rest, after),
            ([a, rest @ ..], [b, after @ ..]) => a == b && glob(rest, after),
            _ => false,
        }
    }

    fn list(value: &Value) -> Vec<String> {
        match value {
            Value::Array(values) => values.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
            value => vec![value.as_str().unwrap().to_owned()],
        }
    }

    fn element(statement: &Value, name: &str, fits: &dyn Fn(&str) -> bool) -> bool {
        match (statement.get(name), statement.get(format!("Not{name}"))) {
            (Some(value), _) => list(value).iter().any(|one| fits(one)),
            (None, Some(value)) => !list(value).iter().any(|one| fits(one)),
            (None, None) => true,
        }
    }

    fn arn(pattern: &str, text: &str) -> bool {
        let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), text.splitn(6, ':').collect());
        if patterns.len() < 6 {
            return glob(pattern.as_bytes(), text.as_bytes());
        }
        patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(p, t)| glob(p.as_bytes(), t.as_bytes()))
    }

    fn condition(operator: &str, wanted: &[String], found: Option<&str>) -> bool {
        let (operator, if_exists) = operator.strip_suffix("IfExists").map_or((operator, false), |rest| (rest, true));
        if operator == "Null" {
            return (wanted[0] == "true") == found.is_none();
        }
        let Some(found) = found else { return if_exists || operator.contains("Not") };
        let any = |fits: &dyn Fn(&str) -> bool| wanted.iter().any(|one| fits(one));
        match operator {
            "StringEquals" => any(&|one| one == found),
            "StringNotEquals" => !any(&|one| one == found),
            "StringLike" => any(&|one| glob(one.as_bytes(), found.as_bytes())),
            "StringNotLike" => !any(&|one| glob(one.as_bytes(), found.as_bytes())),
            "StringEqualsIgnoreCase" => any(&|one| one.eq_ignore_ascii_case(found)),
            other => panic!("{other}"),
        }
    }

    fn applies(statement: &Value, action: &str, resource: &str, context: &[(&str, Option<String>)]) -> bool {
        let lower = action.to_lowercase();
        let conditions = statement["Condition"].as_object().cloned().unwrap_or_default();
        element(statement, "Action", &|one| glob(one.to_lowercase().as_bytes(), lower.as_bytes()))
            && element(statement, "Resource", &|one| arn(one, resource))
            && conditions.iter().all(|(operator, keys)| {
                keys.as_object().unwrap().iter().all(|(key, wanted)| {
                    let found = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
                    condition(operator, &list(wanted), found.and_then(|(_, value)| value.as_deref()))
                })
            })
    }

    pub(crate) fn allows(
        statements: &[Value],
        action: &str,
        resource: &str,
        context: &[(&str, Option<String>)],
    ) -> bool {
        let of =
            |effect: &str| statements.iter().any(|s| s["Effect"] == effect && applies(s, action, resource, context));
        of("Allow") && !of("Deny")
    }
}

fn name() -> impl Strategy<Value = String> {
    "[abAB*?]{1,4}"
}

fn action() -> impl Strategy<Value = String> {
    prop_oneof![Just("*".to_owned()), ("[st]", name()).prop_map(|(service, name)| format!("{service}:{name}"))]
}

fn resource() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        ("[rs*]", "[01*?]{1,2}", name())
            .prop_map(|(region, account, name)| format!("arn:aws:x:{region}:{account}:{name}")),
        name().prop_map(|name| format!("arn:*{name}")),
        (name(), name()).prop_map(|(a, b)| format!("arn:aws:x:r:0:{a}:{b}")),
    ]
}

fn many<T: std::fmt::Debug + serde::Serialize>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Value> {
    proptest::collection::vec(one, 1..3).prop_map(|all| if all.len() == 1 { json!(all[0]) } else { json!(all) })
}

fn condition() -> impl Strategy<Value = (String, Value)> {
    let operator = prop_oneof![
        Just("StringEquals"),
        Just("StringNotEquals"),
        Just("StringLike"),
        Just("StringNotLike"),
        Just("StringEqualsIgnoreCase"),
    ];
    let compared = (operator, any::<bool>(), prop_oneof![Just("a:K"), Just("a:l")], many("[abA*]{0,2}")).prop_map(
        |(operator, if_exists, key, values)| {
            (format!("{operator}{}", if if_exists { "IfExists" } else { "" }), json!({ key: values }))
        },
    );
    let null = any::<bool>().prop_map(|absent| ("Null".to_owned(), json!({ "a:k": absent.to_string() })));
    prop_oneof![4 => compared, 1 => null]
}

fn statement() -> impl Strategy<Value = Value> {
    (
        prop_oneof![2 => Just("Allow"), 1 => Just("Deny")],
        any::<(bool, bool)>(),
        many(action()),
        many(resource()),
        proptest::collection::btree_map("[a]", condition(), 0..2),
    )
        .prop_map(|(effect, (not_action, not_resource), action, resource, conditions)| {
            let conditions: serde_json::Map<String, Value> = conditions.into_values().collect();
            json!({
                "Effect": effect,
                if not_action { "NotAction" } else { "Action" }: action,
                if not_resource { "NotResource" } else { "Resource" }: resource,
                "Condition": conditions,
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_the_reference_does(
        statements in proptest::collection::vec(statement(), 1..4),
        action in "[st]:[abAB]{1,3}",
        resource in "arn:aws:x:[rs]:[01]{1,2}:[abAB]{1,3}(:[abAB]{1,2})?",
        k in proptest::option::of("[abA]{0,2}"),
        l in proptest::option::of("[abA]{0,2}"),
    ) {
        let mut context = Context::default();
        for (key, value) in [("a:k", &k), ("a:l", &l)] {
            if let Some(value) = value {
                context.set(key, value.clone());
            }
        }
        let found = decide(&[json!(statements.clone())], None, &action, &resource, &context);
        let expected = reference::allows(&statements, &action, &resource, &[("a:k", k), ("a:l", l)]);
        prop_assert_eq!(found == Decision::Allowed, expected, "{:?}", found);
    }

    /// No text makes the parser fail otherwise than by an error.
    #[test]
    fn no_text_breaks_the_parser(text in r#"[\[\]{}":,a-zA-Z*$? ]{0,60}"#) {
        for kind in [Kind::Identity, Kind::Resource, Kind::Trust] {
            let _ = Document::parse(&text, kind);
        }
    }
}
