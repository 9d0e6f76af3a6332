//! Several callers at once: what they are told is what is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use hearth_api::{iam, ssm};
use hearth_clock::Clock;
use hearth_identity::policy::{Context, Principal};
use hearth_identity::{Caller, MasterKey, Rights};
use hearth_neighbours::{Neighbours, Parts};
use hearth_store::MemoryStore;
use hearth_types::Place;

const ACCOUNT: &str = "000000000000";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const LOGS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}"#;

fn neighbours() -> Arc<Neighbours> {
    Arc::new(Neighbours::new(Parts {
        place: Place { region: "us-east-1".into(), account: ACCOUNT.into() },
        store: Arc::new(MemoryStore::default()),
        key: MasterKey::new([7; 32]),
        clock: Clock::following(|| 1_700_000_000_000),
    }))
}

fn owner() -> Caller {
    let owner = Principal::Root { account: ACCOUNT.to_owned() };
    Caller::new(owner, ACCOUNT, Rights::Everything, Context::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_policy_that_is_attached_while_it_is_deleted_is_either_there_or_not_attached() {
    let (neighbours, caller) = (neighbours(), owner());
    let role = iam::types::CreateRoleRequest {
        role_name: "r".to_owned(),
        assume_role_policy_document: TRUST.to_owned(),
        ..Default::default()
    };
    neighbours.create_role(&caller, role).await.unwrap();
    for round in 0..200 {
        let policy = iam::types::CreatePolicyRequest {
            policy_name: format!("p{round}"),
            policy_document: LOGS.to_owned(),
            ..Default::default()
        };
        neighbours.create_policy(&caller, policy).await.unwrap();
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy/p{round}");
        let attach = {
            let (neighbours, policy_arn) = (Arc::clone(&neighbours), arn.clone());
            let input = iam::types::AttachRolePolicyRequest { role_name: "r".to_owned(), policy_arn };
            tokio::spawn(async move { neighbours.attach_role_policy(&owner(), input).await })
        };
        let delete = {
            let (neighbours, policy_arn) = (Arc::clone(&neighbours), arn.clone());
            let input = iam::types::DeletePolicyRequest { policy_arn };
            tokio::spawn(async move { neighbours.delete_policy(&owner(), input).await })
        };
        let (attached, deleted) = (attach.await.unwrap(), delete.await.unwrap());
        match (&attached, &deleted) {
            (Ok(()), Err(refusal)) => assert_eq!(refusal.kind, iam::errors::DELETE_CONFLICT),
            (Err(refusal), Ok(())) => assert_eq!(refusal.kind, iam::errors::NO_SUCH_ENTITY),
            other => panic!("round {round}: {other:?}"),
        }
        let input = iam::types::GetPolicyRequest { policy_arn: arn.clone() };
        assert_eq!(neighbours.get_policy(&caller, input).await.is_ok(), attached.is_ok());
        if attached.is_ok() {
            let input = iam::types::DetachRolePolicyRequest { role_name: "r".to_owned(), policy_arn: arn };
            neighbours.detach_role_policy(&caller, input).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_several_writers_of_a_parameter_makes_a_version_of_its_own() {
    const WRITERS: i64 = 8;
    let neighbours = neighbours();
    let writers = (0..WRITERS).map(|writer| {
        let neighbours = Arc::clone(&neighbours);
        let input = ssm::types::PutParameterRequest {
            name: "/p".to_owned(),
            value: writer.to_string(),
            r#type: Some(ssm::types::ParameterType::SecureString),
            overwrite: Some(true),
            ..Default::default()
        };
        tokio::spawn(async move { neighbours.put_parameter(&owner(), input).await.unwrap().version.unwrap() })
    });
    let mut versions = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        versions.insert(writer.await.unwrap());
    }
    assert_eq!(versions, (1..=WRITERS).collect());

    let input = ssm::types::GetParameterHistoryRequest {
        name: "/p".to_owned(),
        with_decryption: Some(true),
        ..Default::default()
    };
    let history = neighbours.get_parameter_history(&owner(), input).await.unwrap().parameters.unwrap();
    let mut values: Vec<String> = history.into_iter().filter_map(|version| version.value).collect();
    values.sort();
    assert_eq!(values, (0..WRITERS).map(|writer| writer.to_string()).collect::<Vec<_>>());
}
