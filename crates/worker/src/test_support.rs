//! What several tests of this crate need.

use std::time::Duration;

use hearth_types::RequestId;
use hearth_types::invoke::VersionSpec;
use hearth_types::test_support::version;

use crate::text::Report;

/// Version 7 of `f`.
pub(crate) fn spec() -> VersionSpec {
    VersionSpec { version: "7".into(), ..version("f", "python3.12") }
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
