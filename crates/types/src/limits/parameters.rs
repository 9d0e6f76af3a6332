//! Of SSM's parameters.

/// Characters of a parameter's name. AWS: 1,011 with what its ARN begins with.
pub const PARAMETER_NAME_CHARS: usize = 1011;
/// Levels of a parameter's name (AWS).
pub const PARAMETER_LEVELS: usize = 15;
/// Characters of a parameter's value, of the standard tier (AWS).
pub const PARAMETER_CHARS: usize = 4096;
/// The same of the advanced tier (AWS).
pub const PARAMETER_ADVANCED_CHARS: usize = 8192;
/// Versions that are kept of a parameter (AWS).
pub const PARAMETER_VERSIONS: u64 = 100;
/// Labels of a version of a parameter (AWS).
pub const PARAMETER_LABELS: usize = 10;
/// Parameters on a page of a list (AWS).
pub const PARAMETERS_PAGE: usize = 50;
/// The same below a path (AWS).
pub const PARAMETERS_BY_PATH_PAGE: usize = 10;
