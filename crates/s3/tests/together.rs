//! Several clients at once, over an engine in memory.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hearth_http::ResponseBody;
use hearth_identity::policy::{Context, Principal};
use hearth_identity::{Caller, Rights};
use hearth_s3::{Parts, S3};
use hearth_store::MemoryStore;
use hearth_types::Place;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};

async fn s3(folder: &std::path::Path) -> Arc<S3> {
    let place = Place { region: "us-east-1".into(), account: "000000000000".into() };
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    S3::open(Parts { place, store: Arc::new(MemoryStore::default()), now: now as fn() -> Duration }, folder)
        .await
        .unwrap()
}

async fn call(s3: &Arc<S3>, method: &str, path: &str, body: &[u8]) -> Response<ResponseBody> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-length", body.len()).body(Full::new(Bytes::copy_from_slice(body))).unwrap();
    let everybody = Caller::new(Principal::Anonymous, "", Rights::Everything, Context::default());
    s3.handle("id", Arc::new(everybody), request).await
}

fn files(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn who_reads_an_object_reads_it_to_its_end_whatever_becomes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = s3(folder.path()).await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n / 7) as u8).collect();
    call(&s3, "PUT", "/bucket", b"").await;
    assert_eq!(call(&s3, "PUT", "/bucket/k", &bytes).await.status(), 200);
    let mut got = call(&s3, "GET", "/bucket/k", b"").await.into_body();
    let first = got.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(call(&s3, "PUT", "/bucket/k", b"other").await.status(), 200);
    assert_eq!(call(&s3, "DELETE", "/bucket/k", b"").await.status(), 204);
    let rest = got.collect().await.unwrap().to_bytes();
    assert_eq!([first, rest].concat(), bytes);
    // The file goes when the last piece is out; that happens on a thread of its own.
    while files(folder.path()) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_deleted_loses_no_object_that_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = s3(folder.path()).await;
    for _ in 0..200 {
        assert_eq!(call(&s3, "PUT", "/bucket", b"").await.status(), 200);
        let putting = tokio::spawn({
            let s3 = Arc::clone(&s3);
            async move { call(&s3, "PUT", "/bucket/k", b"text").await.status() }
        });
        let deleted = call(&s3, "DELETE", "/bucket", b"").await.status();
        let put = putting.await.unwrap();
        match (put.as_u16(), deleted.as_u16()) {
            (200, 409) => assert_eq!(call(&s3, "DELETE", "/bucket/k", b"").await.status(), 204),
            (404 | 409, 204) => continue,
            other => panic!("{other:?}"),
        }
        assert_eq!(call(&s3, "DELETE", "/bucket", b"").await.status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_of_one_key_each_is_the_last_once() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = s3(folder.path()).await;
    call(&s3, "PUT", "/bucket", b"").await;
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(call(&s3, "PUT", "/bucket?versioning", versioning).await.status(), 200);
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let s3 = Arc::clone(&s3);
            tokio::spawn(async move { call(&s3, "PUT", "/bucket/k", format!("{n}").as_bytes()).await })
        })
        .collect();
    let mut ids = Vec::new();
    for writer in writers {
        let answer = writer.await.unwrap();
        assert_eq!(answer.status(), 200);
        ids.push(answer.headers()["x-amz-version-id"].to_str().unwrap().to_owned());
    }
    let listed = call(&s3, "GET", "/bucket?versions", b"").await.into_body().collect().await.unwrap().to_bytes();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    assert!(ids.iter().all(|id| listed.matches(id.as_str()).count() == 1), "{listed}");
    assert_eq!((listed.matches("<Version>").count(), listed.matches(">true</IsLatest>").count()), (16, 1));
    assert_eq!(files(folder.path()), 16);
}
