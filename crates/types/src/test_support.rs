//! What tests of several crates begin from.

use crate::CodeDigest;
use crate::function::LogFormat;
use crate::invoke::{Initialization, VersionSpec};

/// `$LATEST` of a function without settings of its own, an empty package of this runtime.
#[must_use]
pub fn version(function: &str, runtime: &str) -> VersionSpec {
    VersionSpec {
        generation: 1,
        function: function.into(),
        function_arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{function}").into(),
        version: "$LATEST".into(),
        runtime: runtime.into(),
        runtime_version: None,
        handler: "app.handler".into(),
        memory_mb: 128,
        timeout_s: 3,
        ephemeral_mb: 512,
        role: "arn:aws:iam::000000000000:role/r".into(),
        variables: Vec::new(),
        code: CodeDigest::of(b""),
        layers: Vec::new(),
        log_group: format!("/aws/lambda/{function}").into(),
        log_format: LogFormat::Text,
        region: "us-east-1".into(),
        initialization: Initialization::OnDemand,
        tenant: None,
    }
}
