//! Of functions, layers and their settings.

use std::time::Duration;

/// Bytes of all environment variables as compact JSON (Lambda).
pub const ENVIRONMENT_BYTES: usize = 4096;
/// Concurrent executions of an account (Lambda's default).
pub const ACCOUNT_CONCURRENCY: u32 = 1000;
/// Concurrent executions that reservations must leave to the functions without one (Lambda).
pub const UNRESERVED_CONCURRENCY_MIN: u32 = 100;
/// Seconds: a function's time limit when none is given, and the largest (Lambda).
pub const TIMEOUT_DEFAULT_S: u32 = 3;
/// See [`TIMEOUT_DEFAULT_S`].
pub const TIMEOUT_MAX_S: u32 = 900;
/// MB of memory (Lambda).
pub const MEMORY_MIN_MB: u32 = 128;
/// See [`MEMORY_MIN_MB`].
pub const MEMORY_MAX_MB: u32 = 10_240;
/// MB of memory that buy one core (Lambda).
pub const MEMORY_MB_PER_CORE: u32 = 1769;
/// MB of /tmp (Lambda).
pub const EPHEMERAL_MIN_MB: u32 = 512;
/// See [`EPHEMERAL_MIN_MB`].
pub const EPHEMERAL_MAX_MB: u32 = 10_240;
/// Characters of a function's name (Lambda).
pub const FUNCTION_NAME_CHARS: usize = 64;
/// Tags of a function (Lambda).
pub const TAGS: usize = 50;
/// Characters of a tag's key (Lambda).
pub const TAG_KEY_CHARS: usize = 128;
/// Characters of a tag's value (Lambda).
pub const TAG_VALUE_CHARS: usize = 256;
/// Tenants that have environments at a time (Lambda: for each 1,000 of concurrency).
pub const TENANTS: usize = 2_500;
/// Layers of a function (Lambda).
pub const LAYERS: usize = 5;
/// Functions on a page of a list (Lambda).
pub const LIST_FUNCTIONS_PAGE: usize = 50;
/// Layers, and versions of a layer, on a page of a list (Lambda).
pub const LIST_LAYERS_PAGE: usize = 50;
/// Settings of a function's qualifiers on a page of a list (Lambda).
pub const LIST_SETTINGS_PAGE: usize = 50;
/// Bytes of a policy document (Lambda: 20 KB).
pub const POLICY_BYTES: usize = 20 * 1024;
/// Versions on a page of a list (Lambda).
pub const LIST_VERSIONS_PAGE: usize = 50;
/// Aliases on a page of a list. Ours: the largest that may be asked for.
pub const LIST_ALIASES_PAGE: usize = 10_000;
/// Code signing configurations, and functions of one, on a page of a list. Ours: the largest that may be asked for.
pub const LIST_CODE_SIGNING_PAGE: usize = 10_000;
/// Event source mappings on a page of a list (Lambda).
pub const LIST_MAPPINGS_PAGE: usize = 100;
/// Versions that an alias may lead to beside its first (Lambda).
pub const ALIAS_WEIGHTS: usize = 1;
/// How long a link in GetFunction's Code.Location is good (Lambda).
pub const CODE_LINK_LIFE: Duration = Duration::from_secs(600);
/// Between two looks for packages that no function has; longer than an environment of replaced code can still run.
pub const TIDY_EVERY: Duration = Duration::from_secs(30 * 60);
