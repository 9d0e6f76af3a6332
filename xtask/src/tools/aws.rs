//! The AWS CLI, pointed at a local server.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{install, output};

/// Variables that point any AWS client at `url` and keep it away from the user's own accounts.
pub(crate) fn environment(url: &str) -> Vec<(String, String)> {
    let fixed = [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_PAGER", ""),
        // A retry would hide an error.
        ("AWS_MAX_ATTEMPTS", "1"),
    ];
    fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The command line client.
#[derive(Debug)]
pub(crate) struct Aws {
    program: PathBuf,
    environment: Vec<(String, String)>,
}

impl Aws {
    /// Installs the client if need be and points it at `url`.
    pub(crate) fn new(url: &str) -> Result<Self> {
        Ok(Self { program: install::clients()?.join("aws"), environment: environment(url) })
    }

    /// `aws lambda ARGS`: what it printed, parsed; null if it printed nothing.
    pub(crate) fn lambda(&self, args: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.program);
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_LAMBDA"] {
            command.env_remove(name);
        }
        command.arg("lambda").args(args).args(["--output", "json"]).envs(self.environment.iter().cloned());
        let text = output(&mut command)?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("`aws lambda` printed no JSON: {text}"))
    }
}
