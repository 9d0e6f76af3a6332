//! The variables of extensions' processes: those of the function, less what only its runtime is told (runtime contract,
//! section 3).

use std::ffi::CString;

use hearth_types::invoke::VersionSpec;

use crate::Runtime;
use crate::launch::{NulByte, Session, c_string, environment, of_runtime};

/// What a runtime is told and extensions are not, beside all that begins with `_`.
const OF_THE_RUNTIME: [&str; 6] = [
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// What belongs to the place and not to the language: programs are found the same way.
const OF_THE_PLACE: [&str; 4] = ["LANG", "LD_LIBRARY_PATH", "PATH", "TZ"];

/// The variables of the extensions beside `spec`'s runtime.
///
/// # Errors
/// A variable holds a NUL byte.
pub fn extension_env(runtime: &Runtime, spec: &VersionSpec, session: Session<'_>) -> Result<Vec<CString>, NulByte> {
    let language: Vec<String> = of_runtime(runtime.kind, &spec.runtime).into_iter().map(|(name, _)| name).collect();
    let is_told = |name: &str| {
        let own = spec.variables.iter().any(|(set, _)| set == name);
        let of_language = language.iter().any(|known| known == name) && !OF_THE_PLACE.contains(&name);
        !name.starts_with('_') && !OF_THE_RUNTIME.contains(&name) && (own || !of_language)
    };
    let all = environment(runtime.kind, spec, session).into_iter().filter(|(name, _)| is_told(name));
    all.map(|(name, value)| c_string(format!("{name}={value}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Kind;
    use crate::test_support::{credentials, runtime, spec};
    use crate::{API, RUNTIME_API};

    #[test]
    fn extensions_are_told_of_the_function_and_not_of_its_runtime() {
        let kind = Kind::Python { minor: 12 };
        let runtime = runtime(kind);
        let mut spec = spec("python3.12");
        spec.variables = vec![("MINE".into(), "1".into()), ("PYTHONPATH".into(), "/opt/x".into())];
        let credentials = credentials();
        let session =
            Session { log_stream: "s", runtime_api: RUNTIME_API, api: API, credentials: &credentials, token: "" };
        let env = extension_env(&runtime, &spec, session).unwrap();
        let mut names: Vec<_> = env.iter().map(|v| v.to_str().unwrap().split_once('=').unwrap().0).collect();
        names.sort_unstable();
        let wanted = [
            "AWS_ACCESS_KEY_ID",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_VERSION",
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "LANG",
            "LD_LIBRARY_PATH",
            "MINE",
            "PATH",
            "PYTHONPATH",
            "TZ",
        ];
        assert_eq!(names, wanted);
        let path = env.iter().find(|v| v.to_str().unwrap().starts_with("PATH=")).unwrap();
        assert!(
            path.to_str().unwrap().starts_with("PATH=/var/lang/bin:"),
            "the runtime's interpreter is found: {path:?}"
        );
    }
}
