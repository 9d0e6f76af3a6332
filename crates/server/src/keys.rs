//! `hearth keys`: access keys, in a running server or in a data folder at rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hearth_control::access_keys::{AccessKeys, NewAccessKey};
use hearth_store::MetadataStore;
use hearth_store_sqlite::SqliteStore;
use serde_json::json;

use crate::at_rest;
use crate::cli::{KeysArgs, KeysCommand, NewKeyArgs};
use crate::key_file;
use crate::key_socket::{self, Answer, Request};
use crate::prepare::{Refused, make_data_dir};

/// Does what is asked and prints what comes of it.
pub(crate) fn run(args: &KeysArgs) -> Result<()> {
    let (request, as_json) = match &args.command {
        KeysCommand::Create(new) => (Request::Create(wanted(new)?), new.json),
        KeysCommand::List { json } => (Request::List, *json),
        KeysCommand::Delete { id } => (Request::Delete(id.clone()), false),
    };
    let answer = match key_socket::ask(&args.data_dir, &request)? {
        Some(answer) => answer,
        None => in_the_folder(args, request)?,
    };
    print(answer, as_json)
}

fn wanted(args: &NewKeyArgs) -> Result<NewAccessKey> {
    let mut inline = BTreeMap::new();
    for path in &args.policy {
        let text = std::fs::read_to_string(path).map_err(|cause| Refused(format!("{}: {cause}", path.display())))?;
        let name = path.file_stem().map_or_else(|| "policy".to_owned(), |stem| stem.to_string_lossy().into_owned());
        if inline.insert(name, text).is_some() {
            return Err(Refused(format!("two policies have the name of {}: rename one", path.display())).into());
        }
    }
    Ok(NewAccessKey { user: args.user.clone(), inline, attached: args.policy_arn.clone() })
}

/// No server runs: the folder is ours for a moment.
fn in_the_folder(args: &KeysArgs, request: Request) -> Result<Answer> {
    let folder = make_data_dir(&args.data_dir)?;
    let key = key_file::load(&folder, args.key_file.as_deref())?;
    let path = folder.join("meta.db");
    let store: Arc<dyn MetadataStore> =
        Arc::new(SqliteStore::open(&path, at_rest::seal(&key)).map_err(|cause| Refused(cause.to_string()))?);
    let keys = AccessKeys::new(store, key);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let answer = runtime.block_on(key_socket::answer(&keys, request));
    drop(keys);
    like_the_folder(&folder)?;
    Ok(answer)
}

/// What was made here belongs to the folder's owner, as all in it does: a server that has given root up must reach it.
fn like_the_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(folder).context("the data folder")?;
    for name in ["meta.db", "meta.db-wal", "meta.db-shm", "secret.key"] {
        let path = folder.join(name);
        if path.exists() {
            std::os::unix::fs::lchown(&path, Some(owner.uid()), Some(owner.gid()))
                .with_context(|| format!("giving {} to the folder's owner", path.display()))?;
        }
    }
    Ok(())
}

fn print(answer: Answer, as_json: bool) -> Result<()> {
    match answer {
        Answer::Failed(why) => return Err(Refused(why).into()),
        Answer::Deleted => {}
        Answer::Created(made) if as_json => println!("{}", json!(made)),
        Answer::Created(made) => {
            println!("The secret is shown this once.\n");
            println!("export AWS_ACCESS_KEY_ID={}", made.access_key_id);
            println!("export AWS_SECRET_ACCESS_KEY={}", made.secret_access_key);
        }
        Answer::Listed(all) if as_json => println!("{}", json!({ "AccessKeys": all })),
        Answer::Listed(all) => {
            for key in all {
                let note = if key.opens { "" } else { "  (sealed with another key file: of no use here)" };
                println!("{}  {:<16} {}{note}", key.access_key_id, key.user_name, key.policies.join(" "));
            }
        }
    }
    Ok(())
}
