//! From what an invoke came to, whole or in parts, to an HTTP response.

use std::task::Poll;

use bytes::Bytes;
use hearth_http::ResponseBody;
use hearth_http::body::BrokenOff;
use hearth_types::settings::UrlInvokeMode;
use hearth_worker::{Answer, End, Outcome, Part, Parts, Streamed};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tracing::debug;

use crate::url::FunctionUrl;
use crate::url::answer::{Head, Malformed, answer, unstreamed};
use crate::url::prelude::{CONTENT_TYPE, Prelude, Read};
use crate::url::refusal::bad_gateway;

const FAILED: Malformed = Malformed("the function failed");

/// The response to a request to this host. Where the function streams, it returns with the first parts that tell the
/// response's head; its body goes on for as long as the function sends, and breaks off where that fails.
pub async fn respond(url: &FunctionUrl, gave: Answer, host: &str) -> Response<ResponseBody> {
    let response = match gave {
        Answer::Whole(Outcome { function_error: true, .. }) => Err(FAILED),
        Answer::Whole(Outcome { payload, .. }) => match url.config.invoke_mode {
            UrlInvokeMode::Buffered => answer(&payload, host).or_else(|cause| collected(&payload, host).ok_or(cause)),
            UrlInvokeMode::ResponseStream => unstreamed(payload, host),
        }
        .map(|response| response.map(ResponseBody::from)),
        Answer::Streamed(Streamed { content_type, parts, .. }) => streamed(content_type, parts, host).await,
    };
    response.unwrap_or_else(|Malformed(why)| {
        debug!("{}: no response: {why}", url.arn);
        bad_gateway().map(ResponseBody::from)
    })
}

/// What a function streamed to a URL that waits for all of it.
fn collected(payload: &[u8], host: &str) -> Option<Response<Bytes>> {
    match Prelude::default().read(payload, host) {
        Read::Whole(head, body) => Some(typed(head).with(body)),
        Read::More | Read::Bad(_) => None,
    }
}

async fn streamed(
    content_type: Option<HeaderValue>,
    mut parts: Parts,
    host: &str,
) -> Result<Response<ResponseBody>, Malformed> {
    let describes_itself = content_type.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(CONTENT_TYPE));
    let (head, first) = if describes_itself {
        prelude(&mut parts, host).await?
    } else {
        let headers = content_type.map(|kind| (header::CONTENT_TYPE, kind)).into_iter().collect::<HeaderMap>();
        (Head { status: StatusCode::OK, headers }, Bytes::new())
    };
    Ok(typed(head).with(body(first, parts)))
}

/// Waits until the prelude is there.
async fn prelude(parts: &mut Parts, host: &str) -> Result<(Head, Bytes), Malformed> {
    let mut prelude = Prelude::default();
    loop {
        match parts.next().await {
            Some(Part::Bytes(part)) => match prelude.read(&part, host) {
                Read::More => {}
                Read::Whole(head, first) => return Ok((head, first)),
                Read::Bad(malformed) => return Err(malformed),
            },
            Some(Part::End(End { failure: Some(_), .. })) => return Err(FAILED),
            Some(Part::End(_)) | None => return Err(Malformed("it ends ahead of its body")),
        }
    }
}

/// What does not say what it is, is bytes.
fn typed(mut head: Head) -> Head {
    head.headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    head
}

fn body(first: Bytes, mut parts: Parts) -> ResponseBody {
    let mut first = Some(first).filter(|bytes| !bytes.is_empty());
    ResponseBody::drawn(move |context| match first.take() {
        Some(bytes) => Poll::Ready(Some(Ok(bytes))),
        None => parts.poll_next(context).map(|part| match part? {
            Part::Bytes(bytes) => Some(Ok(bytes)),
            Part::End(End { failure: None, .. }) => None,
            Part::End(_) => Some(Err(BrokenOff)),
        }),
    })
}
