//! Function URLs in the snapshot: whose they are, who may call them, what they run.

use std::sync::Arc;

use bytes::Bytes;
use hearth_frontend::FunctionChange;
use hearth_frontend::url::FunctionUrl;
use hearth_identity::policy::{Context, Document, Kind, Principal};
use hearth_identity::{Caller, Rights};
use hearth_types::function::{AliasRecord, VersionId};
use hearth_types::policy::{Condition, Effect, Policy, Principal as Meant, Statement, StringEquals};
use hearth_types::settings::{UrlAuth, UrlConfig, UrlInvokeMode};
use hearth_types::{Place, RequestId, RevisionId, UrlHost};
use hearth_worker::Answer;
use uuid::Uuid;

use crate::support::{House, LIMITS, put, record};

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

fn config(id: &str, auth: UrlAuth) -> UrlConfig {
    let invoke_mode = UrlInvokeMode::Buffered;
    UrlConfig { id: id.to_owned(), auth, invoke_mode, cors: None, created_ms: 0, modified_ms: 0 }
}

fn url(qualifier: &str, config: Option<UrlConfig>) -> FunctionChange {
    FunctionChange::Url("f".to_owned(), qualifier.to_owned(), config.map(Box::new))
}

fn policy(qualifier: &str, action: &str, resource: &str, auth: Option<&str>) -> FunctionChange {
    let string_equals = StringEquals { function_url_auth_type: auth.map(str::to_owned), ..StringEquals::default() };
    let statement = Statement {
        sid: "s".to_owned(),
        effect: Effect::Allow,
        principal: Meant::Everyone,
        action: action.to_owned(),
        resource: resource.to_owned(),
        condition: Condition { string_equals, ..Condition::default() },
    };
    let policy = Policy { revision: RevisionId(Uuid::nil()), statements: vec![statement] };
    FunctionChange::Policy("f".to_owned(), qualifier.to_owned(), Some(Box::new(policy)))
}

fn alias(name: &str) -> FunctionChange {
    let record = AliasRecord {
        version: VersionId::Latest,
        description: String::new(),
        weights: Default::default(),
        revision: RevisionId(Uuid::nil()),
    };
    FunctionChange::Alias("f".to_owned(), name.to_owned(), Some(Box::new(record)))
}

fn nobody() -> Caller {
    Caller::new(Principal::Anonymous, "", Rights::By { identity: Vec::new(), session: None }, Context::default())
}

fn user(policy: &str) -> Caller {
    let arn = "arn:aws:iam::123456789012:user/ann".to_owned();
    let identity = vec![Arc::new(Document::parse(policy, Kind::Identity).unwrap())];
    let principal = Principal::User { account: "123456789012".to_owned(), arn };
    Caller::new(principal, "AIDA", Rights::By { identity, session: None }, Context::default())
}

impl House {
    fn url_at(&self, id: &str, region: &str) -> Option<FunctionUrl> {
        let place = Place { region: "us-east-1".into(), account: "123456789012".into() };
        let host = UrlHost::parse(&format!("{id}.lambda-url.{region}.localhost")).unwrap();
        FunctionUrl::find(self.dispatcher.functions(), &place, &host)
    }

    fn url(&self, id: &str) -> Option<FunctionUrl> {
        self.url_at(id, "us-east-1")
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_is_found_by_its_host_until_it_is_gone() {
    let house = House::new(LIMITS);
    house.dispatcher.apply(vec![url("$LATEST", Some(config("one", UrlAuth::None)))]);
    assert!(house.url("one").is_some());
    assert!(house.url("two").is_none() && house.url_at("one", "eu-west-1").is_none());
    house.dispatcher.apply(vec![url("$LATEST", Some(config("two", UrlAuth::None)))]);
    assert!(house.url("one").is_none() && house.url("two").is_some(), "another one by the same qualifier");
    house.dispatcher.apply(vec![put(record("f"))]);
    assert!(house.url("two").is_some(), "a deploy leaves it");
    house.dispatcher.apply(vec![url("$LATEST", None)]);
    assert!(house.url("two").is_none());
    house.dispatcher.apply(vec![url("$LATEST", Some(config("three", UrlAuth::None)))]);
    house.dispatcher.apply(vec![FunctionChange::Function("f".to_owned(), None)]);
    assert!(house.url("three").is_none());
    house.dispatcher.apply(vec![put(record("f"))]);
    assert!(house.url("three").is_none(), "it was another function's");
}

#[tokio::test(start_paused = true)]
async fn a_complete_list_ends_the_urls_and_policies_that_are_not_in_it() {
    let house = House::new(LIMITS);
    let (none, allowed) = (config("one", UrlAuth::None), policy("$LATEST", "lambda:InvokeFunctionUrl", ARN, None));
    house.dispatcher.apply(vec![url("$LATEST", Some(none.clone())), allowed]);
    assert!(house.url("one").unwrap().permits(&nobody()));
    house.dispatcher.replace(vec![put(record("f")), url("$LATEST", Some(none))]);
    assert!(!house.url("one").unwrap().permits(&nobody()));
    house.dispatcher.replace(vec![put(record("f"))]);
    assert!(house.url("one").is_none());
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_in_but_by_the_policy_of_the_urls_own_qualifier() {
    let house = House::new(LIMITS);
    let qualified = format!("{ARN}:live");
    let urls = [url("$LATEST", Some(config("one", UrlAuth::None))), url("live", Some(config("two", UrlAuth::None)))];
    house.dispatcher.apply([vec![alias("live")], urls.into()].concat());
    let may = |id| house.url(id).unwrap().permits(&nobody());
    assert!(!may("one") && !may("two"));
    for (action, auth) in [
        ("lambda:InvokeFunction", None),
        ("lambda:InvokeFunctionUrl", Some("AWS_IAM")),
        ("lambda:GetFunction", Some("NONE")),
    ] {
        house.dispatcher.apply(vec![policy("$LATEST", action, ARN, auth)]);
        assert!(!may("one"), "{action} {auth:?}");
    }
    for (action, auth) in
        [("lambda:InvokeFunctionUrl", Some("NONE")), ("lambda:InvokeFunctionUrl", None), ("lambda:*", None)]
    {
        house.dispatcher.apply(vec![policy("$LATEST", action, ARN, auth)]);
        assert!(may("one") && !may("two"), "{action} {auth:?}");
    }
    house.dispatcher.apply(vec![policy("live", "lambda:InvokeFunctionUrl", &qualified, Some("NONE"))]);
    assert!(may("two"));
    house.dispatcher.apply(vec![FunctionChange::Policy("f".to_owned(), "live".to_owned(), None)]);
    assert!(may("one") && !may("two"));
}

#[tokio::test(start_paused = true)]
async fn who_signs_comes_in_by_own_policies_too() {
    let house = House::new(LIMITS);
    house.dispatcher.apply(vec![url("$LATEST", Some(config("one", UrlAuth::AwsIam)))]);
    let allow = |action: &str, kind: &str| {
        user(&format!(
            r#"{{"Statement":{{"Effect":"Allow","Action":"{action}","Resource":"{ARN}","Condition":{{"StringEquals":{{
                "lambda:FunctionUrlAuthType":"{kind}"}}}}}}}}"#
        ))
    };
    let may = |caller: &Caller| house.url("one").unwrap().permits(caller);
    assert!(may(&allow("lambda:InvokeFunctionUrl", "AWS_IAM")));
    let others = [allow("lambda:InvokeFunction", "AWS_IAM"), allow("lambda:InvokeFunctionUrl", "NONE")];
    assert!(!others.iter().any(may));
    house.dispatcher.apply(vec![policy("$LATEST", "lambda:InvokeFunctionUrl", ARN, Some("AWS_IAM"))]);
    assert!(others.iter().all(may));
    assert!(!may(&user(r#"{"Statement":{"Effect":"Deny","Action":"lambda:*","Resource":"*"}}"#)));
}

#[tokio::test(start_paused = true)]
async fn a_url_runs_what_its_qualifier_means() {
    let house = House::new(LIMITS);
    let urls = [url("$LATEST", Some(config("one", UrlAuth::None))), url("live", Some(config("two", UrlAuth::None)))];
    house.dispatcher.apply([vec![alias("live")], urls.into()].concat());
    let run = async |id: &str, event: Vec<u8>| {
        let url = house.url(id).unwrap();
        house.dispatcher.invoke_url(&url, Bytes::from(event), RequestId(Uuid::nil()), &"Root=1-0-0".into()).await
    };
    for (id, arn) in [("one", ARN.to_owned()), ("two", format!("{ARN}:live"))] {
        assert!(matches!(run(id, b"{}".to_vec()).await.unwrap(), Answer::Whole(outcome) if !outcome.function_error));
        let seen = house.last_seen();
        assert_eq!((seen.invoked_arn, &*seen.trace_id, &*seen.payload), (arn, "Root=1-0-0", &b"{}"[..]));
    }
    assert_eq!(run("one", vec![b' '; 6 * 1024 * 1024 + 1]).await.unwrap_err().kind.status, 413);
    house.dispatcher.apply(vec![FunctionChange::Alias("f".to_owned(), "live".to_owned(), None)]);
    assert_eq!(run("two", b"{}".to_vec()).await.unwrap_err().kind.status, 404, "the URL outlives the alias");
}
