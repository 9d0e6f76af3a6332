//! What several tests of this crate need.

use std::time::Duration;

use hearth_types::function::LogFormat;
use hearth_types::invoke::VersionSpec;
use hearth_types::{CodeDigest, RequestId};

use crate::text::Report;

/// Version 7 of `f`.
pub(crate) fn spec() -> VersionSpec {
    VersionSpec {
        generation: 1,
        function: "f".into(),
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        version: "7".into(),
        runtime: "python3.12".into(),
        runtime_version: None,
        handler: "app.handler".into(),
        memory_mb: 128,
        timeout_s: 3,
        ephemeral_mb: 512,
        role: "arn:aws:iam::000000000000:role/r".into(),
        variables: Vec::new(),
        code: CodeDigest::of(b""),
        layers: Vec::new(),
        log_group: "/aws/lambda/f".into(),
        log_format: LogFormat::Text,
        region: "us-east-1".into(),
        initialization: hearth_types::invoke::Initialization::OnDemand,
        tenant: None,
    }
}

/// Of a warm invoke that went well.
pub(crate) fn report() -> Report<'static> {
    Report {
        request_id: RequestId(uuid::uuid!("8f507cfc-0000-4000-8000-000000000001")),
        duration: Duration::from_micros(3_014),
        init: None,
        restore: None,
        memory_mb: 128,
        memory_used_bytes: 36 * 1024 * 1024 - 5,
        failed: None,
        reported: None,
        answered: None,
        produced_bytes: None,
        beyond: None,
        tracing: None,
    }
}
