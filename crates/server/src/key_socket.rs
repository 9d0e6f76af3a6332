//! How `hearth keys` reaches the keys of a running server: a socket in the data folder, which nobody but the folder's
//! owner and root can enter. One request a connection, each a line of JSON.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hearth_control::access_keys::{AccessKeyError, AccessKeys, ListedAccessKey, MadeAccessKey, NewAccessKey};
use hearth_types::limits::SMALL_BODY_BYTES;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tracing::{info, warn};

use crate::admin;

const NAME: &str = "keys.sock";
/// Time for one request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Create(NewAccessKey),
    List,
    Delete(String),
}

/// What is answered.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    Created(MadeAccessKey),
    Listed(Vec<ListedAccessKey>),
    Deleted,
    Failed(String),
}

/// Does what is asked.
pub(crate) async fn answer(keys: &AccessKeys, request: Request) -> Answer {
    let outcome = match request {
        Request::Create(wanted) => keys.create(wanted, admin::now()).await.map(Answer::Created),
        Request::List => keys.list().await.map(Answer::Listed),
        Request::Delete(id) => keys.delete(&id).await.map(|()| Answer::Deleted),
    };
    outcome.unwrap_or_else(|error: AccessKeyError| Answer::Failed(error.to_string()))
}

/// Opens the socket in the data folder.
///
/// # Errors
/// When it cannot be bound.
pub(crate) fn listen(data: &Path) -> Result<UnixListener> {
    let path = data.join(NAME);
    // The metadata file's lock is ours: no other server uses this one.
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause).context("the keys' socket"),
        _ => {}
    }
    let listener = UnixListener::bind(&path).context("binding the keys' socket")?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).context("the keys' socket")?;
    Ok(listener)
}

/// Removes the socket when the server stops.
pub(crate) fn close(data: &Path) {
    // What is left is replaced at the next start.
    let _ = std::fs::remove_file(data.join(NAME));
}

/// Answers for as long as the server lives, one after another.
pub(crate) async fn serve(listener: UnixListener, keys: Arc<AccessKeys>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match tokio::time::timeout(PATIENCE, exchange(stream, &keys)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => warn!("a request for access keys failed: {cause:#}"),
            Err(_) => warn!("a request for access keys did not come whole"),
        }
    }
}

async fn exchange(stream: tokio::net::UnixStream, keys: &AccessKeys) -> Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = Vec::new();
    tokio::io::BufReader::new(from.take(SMALL_BODY_BYTES as u64)).read_until(b'\n', &mut line).await?;
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => answer(keys, request).await,
        Err(cause) => Answer::Failed(format!("the request cannot be read: {cause}")),
    };
    match &answer {
        Answer::Created(made) => info!("made the access key {} of {}", made.access_key_id, made.user_name),
        Answer::Deleted => info!("deleted an access key"),
        Answer::Listed(_) | Answer::Failed(_) => {}
    }
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    Ok(to.write_all(&line).await?)
}

/// Asks the server that runs on this data folder; none where there is no such server.
///
/// # Errors
/// When it does not answer.
pub(crate) fn ask(data_dir: &Path, request: &Request) -> Result<Option<Answer>> {
    // The path of a socket is short; that of a data folder need not be.
    let Ok(folder) = File::open(data_dir) else { return Ok(None) };
    let Ok(mut stream) = UnixStream::connect(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())) else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(16 * SMALL_BODY_BYTES as u64)).read_line(&mut answer).context("the server's answer")?;
    Ok(Some(serde_json::from_str(&answer).context("the server's answer")?))
}
