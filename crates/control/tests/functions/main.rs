//! The operations on functions over engines in memory and real packages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod account;
mod aliases;
mod code;
mod event_invoke;
mod layers;
mod life;
mod mappings;
mod members;
mod model;
mod permissions;
mod provisioned;
mod recovery;
mod refusals;
mod roles;
mod runtimes;
mod settings;
mod signing;
mod tags;
mod trees;
mod urls;
mod versions;

use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_api::{ApiError, OperationType, Output, encode, ops, types as api};
use hearth_clock::Clock;
use hearth_control::code_source::{CodeSource, NoObject, ObjectName};
use hearth_control::concurrency::AccountConcurrency;
use hearth_control::links::CodeLinks;
use hearth_control::roles::Roles;
use hearth_control::trees::Trees;
use hearth_control::{Control, Parts};
use hearth_image::{InProcess, Unpacker};
use hearth_store::{
    BlobStore, BoxFuture, MemoryBlobStore, MemoryStore, MetadataStore, Precondition, WatchEvent, Write,
};
use hearth_types::CodeDigest;
use hearth_types::Place;
use hearth_types::function::{CodeRef, FunctionRecord};
use hearth_types::keys;
use hearth_types::runtime::Installed;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function";
/// Bytes of packages that a test may deploy.
const CODE_STORAGE: u64 = 1_000_000;
const ROLE: &str = "arn:aws:iam::123456789012:role/r";

/// A control plane and what it works on, which outlives it.
struct House {
    control: Arc<Control>,
    store: Arc<MemoryStore>,
    blobs: Arc<MemoryBlobStore>,
    trees: Arc<Trees>,
    folder: TempDir,
}

impl House {
    /// Beside a front end that follows the store.
    fn new() -> Self {
        Self::with_roles(Roles::Any)
    }

    fn with_roles(roles: Roles) -> Self {
        let (applied_to, applied) = watch::channel(0);
        let mut house = Self::beside(applied.clone());
        house.control = control(&house.store, &house.blobs, &house.trees, applied, (roles, Installed::default()));
        house.follow(applied_to);
        house
    }

    /// Beside a front end that the test plays.
    fn beside(applied: watch::Receiver<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, blobs) = (Arc::<MemoryStore>::default(), Arc::<MemoryBlobStore>::default());
        let trees = trees(&blobs, &folder);
        let control = control(&store, &blobs, &trees, applied, (Roles::Any, Installed::default()));
        Self { control, store, blobs, trees, folder }
    }

    /// The same after the process has ended and begun again.
    fn restarted(self) -> Self {
        self.restarted_with(Installed::default())
    }

    /// The same on a machine that has these runtimes.
    fn restarted_with(mut self, runtimes: Installed) -> Self {
        self.trees = trees(&self.blobs, &self.folder);
        self.with_new_control(runtimes)
    }

    fn with_new_control(mut self, runtimes: Installed) -> Self {
        let (applied_to, applied) = watch::channel(0);
        self.control = control(&self.store, &self.blobs, &self.trees, applied, (Roles::Any, runtimes));
        self.follow(applied_to);
        self
    }

    fn follow(&self, applied: watch::Sender<u64>) {
        let mut changes = self.store.watch(keys::FOLLOWED);
        tokio::spawn(async move {
            while let Some(WatchEvent::Snapshot { version, .. } | WatchEvent::Commit { version, .. }) =
                changes.next().await
            {
                applied.send_replace(version);
            }
        });
    }

    /// Where the handler of a package's tree is.
    fn handler(&self, package: &Bytes) -> PathBuf {
        self.folder.path().join("code").join(CodeDigest::of(package).to_string()).join("handler.py")
    }

    /// Whether an environment that needs a package finds it to be mounted.
    async fn is_runnable(&self, package: &Bytes) -> bool {
        let there = self.trees.there(&CodeDigest::of(package)).await;
        assert_eq!(there.is_ok(), self.handler(package).is_file(), "{there:?}");
        there.is_ok()
    }

    /// Creates a function and waits until it is Active.
    async fn created(&self, name: &str) {
        self.control.create_function(create(name)).await.unwrap();
        self.control.settle(name).await.unwrap();
    }

    /// The configuration as GetFunction shows it, as JSON.
    async fn configuration(&self, name: &str) -> Value {
        let input = api::GetFunctionRequest { function_name: name.to_owned(), ..Default::default() };
        let output = self.control.get_function(input, "http://localhost:4566").await.unwrap();
        json::<ops::GetFunction>(&output)["Configuration"].take()
    }

    async fn update(&self, input: api::UpdateFunctionConfigurationRequest) -> Result<Value, ApiError> {
        let output = self.control.update_function_configuration(input).await?;
        Ok(json::<ops::UpdateFunctionConfiguration>(&output))
    }

    async fn update_code(&self, input: api::UpdateFunctionCodeRequest) -> Result<Value, ApiError> {
        let output = self.control.update_function_code(input).await?;
        Ok(json::<ops::UpdateFunctionCode>(&output))
    }

    async fn delete(&self, name: &str, qualifier: Option<&str>) -> Result<(), ApiError> {
        let qualifier = qualifier.map(str::to_owned);
        let input = api::DeleteFunctionRequest { function_name: name.to_owned(), qualifier };
        self.control.delete_function(input).await.map(drop)
    }

    async fn publish_version(&self, name: &str) -> Value {
        let input = api::PublishVersionRequest { function_name: name.to_owned(), ..Default::default() };
        json::<ops::PublishVersion>(&self.control.publish_version(input).await.unwrap())
    }

    /// Changes $LATEST's description, which is enough for another version, and publishes.
    async fn publish_anew(&self, name: &str, description: &str) -> Value {
        self.update(api::UpdateFunctionConfigurationRequest {
            description: Some(description.to_owned()),
            ..configure(name)
        })
        .await
        .unwrap();
        self.control.settle(name).await.unwrap();
        self.publish_version(name).await
    }

    /// GetFunctionConfiguration.
    async fn asked(&self, name: &str, qualifier: Option<&str>) -> Result<Value, ApiError> {
        let input = api::GetFunctionConfigurationRequest {
            function_name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        };
        let output = self.control.get_function_configuration(input).await?;
        Ok(json::<ops::GetFunctionConfiguration>(&output))
    }

    /// Changes a record behind the control plane's back.
    async fn tamper(&self, name: &str, change: impl FnOnce(&mut FunctionRecord)) {
        let key = format!("function/{name}");
        let found = self.store.get(&key).await.unwrap().unwrap();
        let mut record: FunctionRecord = serde_json::from_slice(&found.value).unwrap();
        change(&mut record);
        let value = serde_json::to_vec(&record).unwrap();
        self.store.commit(vec![Write::put(key, value, Precondition::Any)]).await.unwrap();
    }
}

/// A store of objects that has one bucket, `b`, with one object, `k`.
struct Objects;

impl CodeSource for Objects {
    fn get<'a>(&'a self, object: ObjectName<'a>, most: usize) -> BoxFuture<'a, Result<Bytes, NoObject>> {
        let refused = |code: &str, message: &str| NoObject::Refused { code: code.into(), message: message.into() };
        Box::pin(async move {
            match (object.bucket, object.key, object.version) {
                ("b", "k", None | Some("v")) => Ok(zip("stored")),
                ("b", "large", _) => Err(NoObject::TooLarge),
                ("b", "broken", _) => Err(NoObject::Failed(format!("no {most} bytes"))),
                ("b", ..) => Err(refused("NoSuchKey", "The specified key does not exist.")),
                _ => Err(refused("NoSuchBucket", "The specified bucket does not exist")),
            }
        })
    }
}

fn trees(blobs: &Arc<MemoryBlobStore>, folder: &TempDir) -> Arc<Trees> {
    let unpacker = Unpacker::new(folder.path().join("code"), Arc::new(InProcess)).unwrap();
    Arc::new(Trees::new(Arc::new(unpacker), Arc::clone(blobs) as _))
}

fn control(
    store: &Arc<impl MetadataStore>,
    blobs: &Arc<MemoryBlobStore>,
    trees: &Arc<Trees>,
    applied: watch::Receiver<u64>,
    (roles, runtimes): (Roles, Installed),
) -> Arc<Control> {
    let (store, blobs): (Arc<dyn MetadataStore>, Arc<dyn BlobStore>) = (Arc::clone(store) as _, Arc::clone(blobs) as _);
    Arc::new(Control::new(Parts {
        place: Place { region: "us-east-1".into(), account: "123456789012".into() },
        architecture: "x86_64",
        runtimes,
        concurrency: AccountConcurrency { limit: 1000, unreserved_min: 100 },
        code_storage: CODE_STORAGE,
        roles,
        settle_after: Duration::ZERO,
        store,
        blobs,
        trees: Arc::clone(trees),
        applied,
        objects: Some(Arc::new(Objects)),
        event_sources: Arc::new(mappings::Queues),
        links: CodeLinks::new([7; 64]),
        provisioner: Arc::new(provisioned::AllReady),
        clock: Clock::following(|| 1_709_640_000_000),
    }))
}

/// What an operation answers, as a client reads it.
fn json<Op: OperationType<Output: Output>>(output: &Op::Output) -> Value {
    serde_json::from_slice(encode::<Op>(output).body()).unwrap()
}

/// A package with one file of this text.
fn zip(text: &str) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("handler.py", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner().into()
}

/// The same with further members, or others instead.
fn with(mut base: Value, members: Value) -> Value {
    base.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    base
}

fn create(name: &str) -> api::CreateFunctionRequest {
    api::CreateFunctionRequest {
        function_name: name.to_owned(),
        runtime: Some("python3.12".to_owned()),
        handler: Some("handler.handler".to_owned()),
        role: ROLE.to_owned(),
        code: api::FunctionCode { zip_file: Some(zip("one")), ..Default::default() },
        ..Default::default()
    }
}

fn configure(name: &str) -> api::UpdateFunctionConfigurationRequest {
    api::UpdateFunctionConfigurationRequest { function_name: name.to_owned(), ..Default::default() }
}

fn code_of(name: &str, package: Bytes) -> api::UpdateFunctionCodeRequest {
    api::UpdateFunctionCodeRequest { function_name: name.to_owned(), zip_file: Some(package), ..Default::default() }
}

fn check(error: &ApiError, code: &str, text: &str) {
    assert_eq!((error.kind.code, error.message.as_deref()), (code, Some(text)));
}
