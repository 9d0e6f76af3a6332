//! What a function sends to X-Ray's daemon: datagrams, with a NUL between two of them.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use hearth_types::test_support::version;
use hearth_worker::{Segments, Traced};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let documents: Vec<Bytes> = bytes.split(|byte| *byte == 0).map(Bytes::copy_from_slice).collect();
    let count = documents.len() as u64;
    // 1-5759e988-000000000000000000000001 of the seeds, and the one after it.
    let traced = |last| Traced { trace: (0x5759_e988_u128 << 96) | last, parent: None, service: 1, function: 2 };
    let spec = Arc::new(version("f", "python3.12"));
    let segments = [Segments::new(spec, vec![traced(2), traced(1)], 1_500_000_000_000_000_000, documents, 0)];
    let written = hearth_otlp::write(&[], &segments);
    assert_eq!(written.taken + written.refused, count);
    assert_eq!(written.taken == 0, written.body.is_empty());
    assert!(written.body.len() < 1024 + 16 * bytes.len() + 512 * count as usize);
    assert_eq!(written.body, hearth_otlp::write(&[], &segments).body);
});
