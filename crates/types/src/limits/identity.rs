//! Of signatures, policies and who has them.

use std::time::Duration;

use super::HEADERS;

/// How far the time of a signed request may be from the server's (AWS).
pub const SIGNATURE_CLOCK: Duration = Duration::from_secs(5 * 60);
/// The same for S3 and for presigned links (AWS).
pub const SIGNATURE_CLOCK_S3: Duration = Duration::from_secs(15 * 60);
/// The longest life of a presigned link (AWS).
pub const SIGNATURE_LINK_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The life of a presigned link that names none (AWS).
pub const SIGNATURE_LINK_DEFAULT_LIFE: Duration = Duration::from_secs(15 * 60);
/// Headers that a signature covers. Ours: as many as a request may have.
pub const SIGNED_HEADERS: usize = HEADERS;
/// Characters of an access key id (IAM).
pub const ACCESS_KEY_ID_CHARS: usize = 128;
/// Bytes of a session token. Ours (AWS states none and recommends to expect 4 KiB and more).
pub const SESSION_TOKEN_BYTES: usize = 16 * 1024;
/// Bytes of the first line of a chunk in a body of `aws-chunked`. Ours: a size and a signature have about 100.
pub const CHUNK_HEAD_BYTES: usize = 1024;
/// Bytes of the trailer behind the chunks. Ours: checksums and a signature have some hundred.
pub const CHUNK_TRAILER_BYTES: usize = 4096;
/// Users, roles and policies each that are kept ready to be asked; the store has all of them. Ours.
pub const COMPILED_IDENTITIES: usize = 4096;
/// Signing keys that are kept: one an access key, day, region and service. Ours.
pub const SIGNING_KEYS: usize = 1024;
/// Bytes of a policy document that is evaluated. Ours: the largest of AWS's own bounds is 20 KiB.
pub const POLICY_DOCUMENT_BYTES: usize = 64 * 1024;
/// Statements of a policy document. Ours.
pub const POLICY_STATEMENTS: usize = 500;
/// Access keys of a server. Ours: all are held in memory, opened.
pub const ACCESS_KEYS: usize = 1000;
/// Characters of a user's name (IAM).
pub const USER_NAME_CHARS: usize = 64;
/// Entries on a page of one of IAM's lists, unless told otherwise (AWS).
pub const IAM_PAGE: i32 = 100;
/// The same, whatever is asked for (AWS).
pub const IAM_PAGE_MAX: usize = 1000;
/// Characters of a role's trust policy, white space aside (AWS).
pub const TRUST_POLICY_CHARS: usize = 2048;
/// Characters of all inline policies of a role, white space aside (AWS).
pub const INLINE_POLICIES_CHARS: usize = 10_240;
/// Characters of a managed policy, white space aside (AWS).
pub const MANAGED_POLICY_CHARS: usize = 6144;
/// Versions of a managed policy (AWS).
pub const POLICY_VERSIONS: usize = 5;
/// Managed policies attached to a role (AWS).
pub const ATTACHED_POLICIES: usize = 10;
/// Seconds that a role's sessions may last, unless told otherwise (AWS).
pub const SESSION_DEFAULT_S: u32 = 3600;
/// The same of sessions that a session assumes (AWS).
pub const SESSION_CHAINED_S: u32 = 3600;
/// Characters of a session's policy (AWS).
pub const SESSION_POLICY_CHARS: usize = 2048;
