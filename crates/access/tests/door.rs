//! Who comes through which door, over a store in memory. Requests are signed by our own signer, which the tests of
//! signatures hold against recorded ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_access::{Access, Auth, Door, NOBODY, NotAdmitted, Parts};
use hearth_clock::Clock;
use hearth_identity::session::{SESSION_RANDOM_BYTES, Session};
use hearth_identity::sigv4::{PayloadHash, Scope, SignatureError, Signer, Timestamp};
use hearth_identity::{Caller, Credentials, MasterKey, NONCE_BYTES, Secret};
use hearth_store::{MemoryStore, MetadataStore, Precondition, Write};
use hearth_types::identity::{AccessKeyRecord, FormerRoleRecord, PolicyRecord, PolicyVersionRecord, RoleRecord};
use hearth_types::{Place, keys};
use http::Request;
use serde::Serialize;

const NOW: Duration = Duration::from_secs(1_709_640_000);
const BODY: &[u8] = b"{}";
const LIST: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"lambda:List*","Resource":"*"}}"#;

struct House {
    store: Arc<dyn MetadataStore>,
    access: Access,
    key: MasterKey,
}

impl House {
    fn new(auth: Auth) -> Self {
        let store: Arc<dyn MetadataStore> = Arc::new(MemoryStore::default());
        let key = MasterKey::new([1; 32]);
        let place = Place { region: "eu-west-1".into(), account: "000000000000".into() };
        let parts = Parts {
            place,
            store: Arc::clone(&store),
            key: key.clone(),
            auth,
            now: || NOW,
            clock: Clock::following(|| NOW.as_millis() as i64),
        };
        Self { store, access: Access::new(parts), key }
    }

    async fn put(&self, key: String, record: &impl Serialize) {
        let value = Bytes::from(serde_json::to_vec(record).unwrap());
        self.store.commit(vec![Write::put(key, value, Precondition::Any)]).await.unwrap();
    }

    async fn user(&self, id: &str, attached: &[&str]) -> Credentials {
        let secret = Secret::new("secret");
        let record = AccessKeyRecord {
            id: id.to_owned(),
            secret: self.key.seal_secret(id, &secret, [2; NONCE_BYTES]),
            user: "ann".to_owned(),
            user_id: "AIDA".to_owned(),
            inline: BTreeMap::new(),
            attached: attached.iter().map(|arn| (*arn).to_owned()).collect(),
            created_ms: 0,
        };
        self.put(keys::access_key(id), &record).await;
        Credentials { access_key_id: id.to_owned(), secret, session_token: None }
    }

    async fn role(&self, id: &str, document: &str) {
        let record = RoleRecord {
            name: "r".to_owned(),
            path: "/".to_owned(),
            id: id.to_owned(),
            trust: String::new(),
            description: None,
            inline: BTreeMap::from([("p".to_owned(), document.to_owned())]),
            attached: Vec::new(),
            tags: BTreeMap::new(),
            max_session_s: 3600,
            created_ms: 0,
        };
        self.put(keys::role("r"), &record).await;
    }

    async fn policy(&self, document: &str) {
        let version = PolicyVersionRecord { document: document.to_owned(), created_ms: 0 };
        let record = PolicyRecord {
            name: "own".to_owned(),
            path: "/team/".to_owned(),
            id: "ANPA".to_owned(),
            description: None,
            versions: BTreeMap::from([(1, version)]),
            default_version: 1,
            last_version: 1,
            tags: BTreeMap::new(),
            created_ms: 0,
            updated_ms: 0,
        };
        self.put(keys::policy("own"), &record).await;
    }

    /// Of a function's environment.
    fn environment(&self, seed: u8) -> Credentials {
        let session = Session { function_arn: Some("arn:f".to_owned()), ..session(ROLE, None, 60) };
        self.access.sessions().issue(&session, [seed; SESSION_RANDOM_BYTES])
    }

    fn session(&self, role_arn: &str, role_id: Option<&str>, lasts_s: i64) -> Credentials {
        self.access.sessions().issue(&session(role_arn, role_id, lasts_s), [3; SESSION_RANDOM_BYTES])
    }

    async fn admitted(&self, door: Door<'_>, credentials: &Credentials) -> Result<Arc<Caller>, SignatureError> {
        self.admitted_to(door, credentials, "lambda", "eu-west-1").await
    }

    async fn admitted_to(
        &self,
        door: Door<'_>,
        credentials: &Credentials,
        service: &str,
        region: &str,
    ) -> Result<Arc<Caller>, SignatureError> {
        let request = Request::post("/2015-03-31/functions").header("host", "localhost").body(()).unwrap();
        let mut head = request.into_parts().0;
        let signer = Signer { credentials, scope: Scope { region, service } };
        signer.sign(&mut head, PayloadHash::of(BODY), Timestamp::since_1970(NOW)).unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let admitted = match self.access.visitor(door, &head, peer, service).await {
            Ok(visitor) => visitor.admit(BODY),
            Err(cause) => Err(cause),
        };
        admitted.map_err(|cause| match cause {
            NotAdmitted::Signature(cause) => cause,
            NotAdmitted::Failed(cause) => panic!("{cause}"),
        })
    }
}

fn session(role_arn: &str, role_id: Option<&str>, lasts_s: i64) -> Session {
    Session {
        role_arn: role_arn.to_owned(),
        role_id: role_id.map(str::to_owned),
        name: "f".to_owned(),
        expires_s: NOW.as_secs() as i64 + lasts_s,
        policy: None,
        function_arn: None,
    }
}

fn may_list(caller: &Caller) -> bool {
    caller.may("lambda:ListFunctions", "*", None, &[]).is_ok()
}

fn dummy() -> Credentials {
    Credentials { access_key_id: "AKIADUMMY".to_owned(), secret: Secret::new("x"), session_token: None }
}

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

#[tokio::test]
async fn an_open_door_asks_only_whoever_bears_one_of_our_keys() {
    let house = House::new(Auth::Open);
    let ann = house.user("AKIAANN", &[]).await;
    assert!(house.admitted(Door::Outer, &dummy()).await.unwrap().is_unchecked());
    let caller = house.admitted(Door::Outer, &ann).await.unwrap();
    assert_eq!(caller.arn(), "arn:aws:iam::000000000000:user/ann");
    assert!(!caller.is_unchecked() && !may_list(&caller));
    let wrong = Credentials { secret: Secret::new("wrong"), ..ann.clone() };
    assert_eq!(house.admitted(Door::Outer, &wrong).await.unwrap_err(), SignatureError::Mismatch);
    let foreign = Credentials { access_key_id: "ASIAX".to_owned(), session_token: Some("x".to_owned()), ..dummy() };
    assert!(house.admitted(Door::Outer, &foreign).await.unwrap().is_unchecked());
    let over = house.session(ROLE, None, 0);
    assert_eq!(house.admitted(Door::Outer, &over).await.unwrap_err(), SignatureError::ExpiredToken);
}

#[tokio::test]
async fn a_door_inside_takes_sessions_only() {
    for auth in [Auth::Open, Auth::Required] {
        let house = House::new(auth);
        let ann = house.user("AKIAANN", &[]).await;
        let own = house.environment(7);
        let door = Door::Environment { access_key_id: &own.access_key_id };
        for nobody in [dummy(), ann] {
            assert_eq!(house.admitted(door, &nobody).await.unwrap_err(), SignatureError::UnknownKey);
        }
        let others = house.environment(8);
        assert_eq!(house.admitted(door, &others).await.unwrap_err(), SignatureError::UnknownToken);
        let caller = house.admitted(door, &own).await.unwrap();
        assert_eq!(caller.arn(), "arn:aws:sts::000000000000:assumed-role/r/f");
        assert_eq!(may_list(&caller), auth == Auth::Open, "a role that nobody made");
        assert!(house.admitted(door, &house.session(ROLE, None, 60)).await.is_ok(), "a role that it assumed");
    }
}

#[tokio::test]
async fn a_session_is_of_its_role_and_of_no_other_by_that_name() {
    let house = House::new(Auth::Required);
    house.role("AROA1", LIST).await;
    let old = house.session(ROLE, Some("AROA1"), 60);
    assert!(may_list(&house.admitted(Door::Outer, &old).await.unwrap()));
    for other in ["arn:aws:iam::111111111111:role/r", "arn:aws:iam::000000000000:role/team/r"] {
        let caller = house.admitted(Door::Outer, &house.session(other, None, 60)).await.unwrap();
        assert!(!may_list(&caller), "{other}");
    }
    house.role("AROA2", LIST).await;
    assert!(!may_list(&house.admitted(Door::Outer, &old).await.unwrap()), "the role was made anew");
    let new = house.session(ROLE, Some("AROA2"), 60);
    assert!(may_list(&house.admitted(Door::Outer, &new).await.unwrap()));
}

#[tokio::test]
async fn a_role_that_was_deleted_is_not_one_that_never_was() {
    let house = House::new(Auth::Open);
    assert_eq!(house.access.role_id(ROLE).await.unwrap(), None);
    house.put(keys::former_role("r"), &FormerRoleRecord { deleted_ms: 0 }).await;
    assert_eq!(house.access.role_id(ROLE).await.unwrap().as_deref(), Some(NOBODY));
    house.role("AROA", LIST).await;
    assert_eq!(house.access.role_id(ROLE).await.unwrap().as_deref(), Some("AROA"));
}

#[tokio::test]
async fn changes_of_policies_count_at_once() {
    let house = House::new(Auth::Required);
    let own = "arn:aws:iam::000000000000:policy/team/own";
    let ann = house.user("AKIAANN", &[own, "arn:aws:iam::000000000000:policy/none"]).await;
    let may = async || may_list(&house.admitted(Door::Outer, &ann).await.unwrap());
    assert!(!may().await, "the policy is not there");
    house.policy(LIST).await;
    assert!(may().await);
    house.policy(&LIST.replace("Allow", "Deny")).await;
    assert!(!may().await);
    let elsewhere = house.user("AKIABOB", &["arn:aws:iam::000000000000:policy/own"]).await;
    house.policy(LIST).await;
    assert!(!may_list(&house.admitted(Door::Outer, &elsewhere).await.unwrap()), "another path is another policy");
    let delete = Write::delete(keys::access_key("AKIAANN"), Precondition::Any);
    house.store.commit(vec![delete]).await.unwrap();
    assert_eq!(house.admitted(Door::Outer, &ann).await.unwrap_err(), SignatureError::UnknownKey);
}

#[tokio::test]
async fn who_has_a_policy_that_cannot_be_read_may_do_nothing() {
    let house = House::new(Auth::Required);
    house.role("AROA1", "{}").await;
    let session = house.session(ROLE, Some("AROA1"), 60);
    let request = Request::get("/").header("host", "localhost").body(()).unwrap();
    let mut head = request.into_parts().0;
    let signer = Signer { credentials: &session, scope: Scope { region: "eu-west-1", service: "lambda" } };
    signer.sign(&mut head, PayloadHash::of(b""), Timestamp::since_1970(NOW)).unwrap();
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let visitor = house.access.visitor(Door::Outer, &head, peer, "lambda").await;
    assert!(matches!(visitor.err(), Some(NotAdmitted::Failed(_))));
}

#[tokio::test]
async fn only_services_of_all_the_world_sign_for_another_region() {
    let house = House::new(Auth::Required);
    let ann = house.user("AKIAANN", &[]).await;
    for (service, region, is_good) in [
        ("iam", "us-east-1", true),
        ("sts", "us-east-1", true),
        ("sts", "eu-west-1", true),
        ("lambda", "eu-west-1", true),
        ("lambda", "us-east-1", false),
        ("ssm", "us-east-1", false),
    ] {
        let admitted = house.admitted_to(Door::Outer, &ann, service, region).await;
        assert_eq!(admitted.is_ok(), is_good, "{service} {region}");
    }
}
