//! The functions that are measured.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::args::RunArgs;
use crate::client::Connection;

/// Nothing checks it: any role of the right form will do.
const ROLE: &str = "arn:aws:iam::000000000000:role/bench";

/// Code and how it is run.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// `python`, `awslambdaric`, `node`, `rust`.
    pub(crate) name: &'static str,
    pub(crate) runtime: String,
    pub(crate) handler: &'static str,
    pub(crate) zip: Vec<u8>,
}

/// Gives its event back.
pub(crate) fn python(args: &RunArgs) -> Result<Package> {
    let source = "def handler(event, context):\n    return event\n";
    Ok(Package {
        name: "python",
        runtime: args.python_runtime.clone(),
        handler: "app.handler",
        zip: zip(&[("app.py", source.as_bytes(), false)])?,
    })
}

/// The same in a package that is nobody else's.
pub(crate) fn marked_python(args: &RunArgs, mark: &str) -> Result<Package> {
    let source = format!("# {mark}\ndef handler(event, context):\n    return event\n");
    Ok(Package { zip: zip(&[("app.py", source.as_bytes(), false)])?, ..python(args)? })
}

/// The same on the official Python client: it takes the place of Hearth's own during the import and never gives it back.
pub(crate) fn awslambdaric(args: &RunArgs) -> Result<Package> {
    let takeover = "from awslambdaric.__main__ import main\nmain(['bootstrap', 'app.handler'])\n";
    let source = "def handler(event, context):\n    return event\n";
    let mut files = vec![
        ("takeover.py".to_owned(), takeover.as_bytes().to_vec()),
        ("app.py".to_owned(), source.as_bytes().to_vec()),
    ];
    collect(&args.awslambdaric, "", &mut files)?;
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice(), false)).collect();
    Ok(Package {
        name: "awslambdaric",
        runtime: args.python_runtime.clone(),
        handler: "takeover.handler",
        zip: zip(&files)?,
    })
}

/// Gives its event back after a while: as many environments come to be as invokes are sent at once.
pub(crate) fn slow_python(args: &RunArgs) -> Result<Package> {
    let source = "import time\n\ndef handler(event, context):\n    time.sleep(1)\n    return event\n";
    Ok(Package { zip: zip(&[("app.py", source.as_bytes(), false)])?, ..python(args)? })
}

/// Gives its event back.
pub(crate) fn node(args: &RunArgs) -> Result<Package> {
    let source = "export const handler = async (event) => event;\n";
    Ok(Package {
        name: "node",
        runtime: args.node_runtime.clone(),
        handler: "index.handler",
        zip: zip(&[("index.mjs", source.as_bytes(), false)])?,
    })
}

/// The example on the official runtime crate: prints a line for each event.
pub(crate) fn rust(args: &RunArgs) -> Result<Package> {
    let binary = fs::read(&args.rust).with_context(|| format!("cannot read {}", args.rust.display()))?;
    Ok(Package {
        name: "rust",
        runtime: "provided.al2023".into(),
        handler: "bootstrap",
        zip: zip(&[("bootstrap", &binary, true)])?,
    })
}

/// Files of a tree, without what Python compiles beside them.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        match entry.file_type()? {
            kind if kind.is_dir() && name != "__pycache__" => collect(&entry.path(), &path, files)?,
            kind if kind.is_file() => files.push((path, fs::read(entry.path())?)),
            _ => {}
        }
    }
    Ok(())
}

/// A zip of files: name, content, whether it can be executed.
pub(crate) fn zip(files: &[(&str, &[u8], bool)]) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, executable) in files {
        let mode = if *executable { 0o755 } else { 0o644 };
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(mode))?;
        writer.write_all(content)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Deploys a function and waits until it is active.
pub(crate) fn deploy(connection: &mut Connection, name: &str, package: &Package, memory_mb: u32) -> Result<()> {
    create(connection, &creation(name, package, memory_mb))?;
    until_active(connection, name)
}

/// The body of a CreateFunction.
pub(crate) fn creation(name: &str, package: &Package, memory_mb: u32) -> Vec<u8> {
    let body = json!({
        "FunctionName": name,
        "Runtime": package.runtime,
        "Handler": package.handler,
        "Role": ROLE,
        "MemorySize": memory_mb,
        "Timeout": 30,
        "Code": { "ZipFile": STANDARD.encode(&package.zip) },
    });
    body.to_string().into_bytes()
}

/// Sends a CreateFunction.
pub(crate) fn create(connection: &mut Connection, body: &[u8]) -> Result<()> {
    let (status, answer) = connection.call("POST", "/2015-03-31/functions", body)?;
    ensure!(status == 201, "CreateFunction was answered {status}: {answer}");
    Ok(())
}

/// Asks until the function is active.
pub(crate) fn until_active(connection: &mut Connection, name: &str) -> Result<()> {
    let path = format!("/2015-03-31/functions/{name}/configuration");
    let start = Instant::now();
    loop {
        let (status, answer) = connection.call("GET", &path, b"")?;
        match answer["State"].as_str() {
            Some("Active") => return Ok(()),
            Some("Pending") if start.elapsed().as_secs() < 60 => std::thread::yield_now(),
            _ => bail!("{name} does not become active: {status} {answer}"),
        }
    }
}

/// Deletes a function; its environments go with it.
pub(crate) fn delete(connection: &mut Connection, name: &str) -> Result<()> {
    let (status, answer) = connection.call("DELETE", &format!("/2015-03-31/functions/{name}"), b"")?;
    ensure!(status == 204 || status == 200, "DeleteFunction was answered {status}: {answer}");
    Ok(())
}
