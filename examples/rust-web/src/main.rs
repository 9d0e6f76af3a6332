//! A web application on axum: `lambda_http` runs it behind a function URL as it is.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Json, Router};
use lambda_http::{Error, run};
use serde_json::{Value, json};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>axum</title>
<h1>Hello from axum</h1><p id="said">...</p>
<script>fetch("/items/7?q=a%20b").then(r => r.json()).then(j => { said.textContent = `item ${j.id}, ${j.q}` })</script>"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/items/{id}", get(item))
        .route("/echo", post(echo))
        .route("/cookies", get(cookies))
        .route("/moved", get(async || Redirect::to("/")))
        .route("/image", get(async || ([(CONTENT_TYPE, "image/png")], (0..=255).collect::<Vec<u8>>())));
    run(app).await
}

async fn item(Path(id): Path<u32>, Query(query): Query<HashMap<String, String>>, headers: HeaderMap) -> Json<Value> {
    Json(json!({ "id": id, "q": query.get("q"), "host": text(&headers, &HOST) }))
}

async fn echo(headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, text(&headers, &CONTENT_TYPE))], body)
}

async fn cookies(headers: HeaderMap) -> impl IntoResponse {
    (AppendHeaders([(SET_COOKIE, "a=1; Path=/"), (SET_COOKIE, "b=2; Path=/")]), text(&headers, &COOKIE))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
