//! How a runtime's process is started: program, arguments, environment variables, directory.

use std::ffi::CString;

use hearth_identity::Credentials;
use hearth_types::function::LogFormat;
use hearth_types::invoke::{Initialization, VersionSpec};

use crate::Runtime;
use crate::catalogue::Kind;
use crate::{java, ruby};

/// Where a runtime finds its Runtime API: as on Lambda.
pub const RUNTIME_API: &str = "169.254.100.1:9001";

/// Where a function finds the server's API.
pub const API: &str = "http://127.0.0.1:4566";

/// Where below that a function that goes on from a snapshot fetches its role's credentials.
pub const CREDENTIALS_PATH: &str = "/2021-04-23/credentials";

/// All that starting a runtime's process takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launch {
    /// Index into [`crate::Catalogue::roots`].
    pub root: usize,
    /// The program's absolute path inside, then its arguments.
    pub argv: Vec<CString>,
    /// The program where there is no file at the first one's path.
    pub otherwise: Option<CString>,
    /// `NAME=value`.
    pub env: Vec<CString>,
    /// The working directory inside.
    pub cwd: CString,
}

/// A variable or the handler holds a NUL byte, which no process can be given.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} has a NUL byte, which neither a variable nor an argument of a process can hold")]
pub struct NulByte(pub String);

/// What the process is told about itself, beside its version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session<'a> {
    /// `2024/03/05/[$LATEST]32hex`.
    pub log_stream: &'a str,
    /// `host:port` of the Runtime API: [`RUNTIME_API`] in a sandbox.
    pub runtime_api: &'a str,
    /// Where AWS's clients find the server: [`API`] in a sandbox. A function may set another.
    pub api: &'a str,
    /// Of its role.
    pub credentials: &'a Credentials,
    /// Where they are fetched and not held in variables: what shows that the environment asks.
    pub token: &'a str,
}

/// Draws up the start of `spec` in `runtime`.
///
/// The variables are those of the runtime contract, section 6, as recorded on Lambda, and `AWS_ENDPOINT_URL`.
///
/// # Errors
/// A variable or the handler holds a NUL byte.
pub fn launch(runtime: &Runtime, spec: &VersionSpec, session: Session<'_>) -> Result<Launch, NulByte> {
    let env = environment(runtime.kind, spec, session);
    // Without the site module, and isolated, unless the function sets what an interpreter reads at its start.
    let reads = spec.variables.iter().any(|(name, _)| name.starts_with("PYTHON"));
    let mut argv = command(runtime, spec.memory_mb, reads);
    let wrapper = spec.variables.iter().find(|(name, _)| name == "AWS_LAMBDA_EXEC_WRAPPER");
    if let (Some((_, wrapper)), true) = (wrapper, runtime.kind != Kind::Provided) {
        argv.insert(0, wrapper.clone());
    }
    let argv = argv.into_iter().map(c_string).collect::<Result<_, _>>()?;
    let env = env.into_iter().map(|(name, value)| c_string(format!("{name}={value}"))).collect::<Result<_, _>>()?;
    let otherwise = (runtime.kind == Kind::Provided).then(|| c"/opt/bootstrap".to_owned());
    Ok(Launch { root: runtime.root, argv, otherwise, env, cwd: c"/var/task".to_owned() })
}

pub(crate) fn c_string(text: String) -> Result<CString, NulByte> {
    CString::new(text).map_err(|e| NulByte(String::from_utf8_lossy(&e.into_vec()).into_owned()))
}

/// Program and arguments; `reads_variables`: whether a Python is to look at its own.
pub(crate) fn command(runtime: &Runtime, memory_mb: u32, reads_variables: bool) -> Vec<String> {
    match runtime.kind {
        Kind::Provided => vec!["/var/task/bootstrap".to_owned()],
        Kind::Python { minor } => {
            let bootstrap = if runtime.compiled { "/var/runtime/bootstrap.pyc" } else { "/var/runtime/bootstrap.py" };
            let isolation = if reads_variables { "-s" } else { "-I" };
            [&format!("/var/lang/bin/python3.{minor}"), isolation, "-S", bootstrap].map(str::to_owned).into()
        }
        Kind::Java { major } => java::command(major, &runtime.version, memory_mb),
        Kind::Ruby { .. } => ["/var/lang/bin/ruby", "/var/runtime/bootstrap.rb"].map(str::to_owned).into(),
        Kind::Node { .. } => {
            let heap_mb = u64::from(memory_mb) * 9 / 10;
            let heap = format!("--max-old-space-size={heap_mb}");
            let flags = ["--expose-gc", "--max-http-header-size=81920"];
            ["/var/lang/bin/node", flags[0], flags[1], &heap, "/var/runtime/bootstrap.js"].map(str::to_owned).into()
        }
    }
}

/// What the processes of all functions of the runtime called `name` are started with, but for what a function sets itself.
pub(crate) fn of_runtime(kind: Kind, name: &str) -> Vec<(String, String)> {
    // How often the interpreter's own folders come, as recorded.
    let times = match kind {
        Kind::Provided if name == "provided.al2" => 0,
        Kind::Ruby { .. } => 2,
        Kind::Provided | Kind::Python { .. } | Kind::Node { .. } | Kind::Java { .. } => 1,
    };
    let (lang, lang_lib) = ("/var/lang/bin:".repeat(times), "/var/lang/lib:".repeat(times));
    let mut all: Vec<(String, String)> = Vec::with_capacity(32);
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    set("PATH", &format!("{lang}/usr/local/bin:/usr/bin/:/bin:/opt/bin"));
    set(
        "LD_LIBRARY_PATH",
        &format!("{lang_lib}/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"),
    );
    set("LANG", "en_US.UTF-8");
    set("TZ", ":UTC");
    set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    // Somebody listens there where spans go to a collector; elsewhere what clients of X-Ray send is lost.
    set("AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1:2000");
    set("_AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1");
    set("_AWS_XRAY_DAEMON_PORT", "2000");
    match kind {
        Kind::Provided | Kind::Java { .. } => {}
        Kind::Python { minor } => {
            set("PYTHONPATH", "/var/runtime");
            if minor >= 12 {
                set("LC_CTYPE", "C.UTF-8");
            }
        }
        Kind::Ruby { minor } => ruby::variables(minor).iter().for_each(|(name, value)| set(name, value)),
        Kind::Node { major } => {
            let modules = "/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task";
            set("NODE_PATH", &format!("/opt/nodejs/node{major}/node_modules:{modules}"));
            if major <= 18 {
                set("NODE_EXTRA_CA_CERTS", "/var/runtime/ca-cert.pem");
            }
        }
    }
    // Of those that a shell script starts.
    if !matches!(kind, Kind::Provided | Kind::Java { .. }) {
        set("PWD", "/var/task");
        set("SHLVL", "0");
    }
    all
}

/// Platform variables first; what the function sets comes on top where it may, in its own order.
pub(crate) fn environment(kind: Kind, spec: &VersionSpec, session: Session<'_>) -> Vec<(String, String)> {
    let mut all = of_runtime(kind, &spec.runtime);
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    set("AWS_ENDPOINT_URL", session.api);
    if let LogFormat::Json { application, .. } = spec.log_format {
        set("AWS_LAMBDA_LOG_FORMAT", "JSON");
        set("AWS_LAMBDA_LOG_LEVEL", application.name());
    }
    for (name, value) in spec.variables.iter().filter(|(name, _)| !is_reserved(name)) {
        all.retain(|(other, _)| other != name);
        all.push((name.clone(), value.clone()));
    }
    let memory = spec.memory_mb.to_string();
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    set("_HANDLER", &spec.handler);
    set("AWS_REGION", &spec.region);
    if !spec.variables.iter().any(|(name, _)| name == "AWS_DEFAULT_REGION") {
        set("AWS_DEFAULT_REGION", &spec.region);
    }
    if kind != Kind::Provided {
        set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", spec.runtime));
    }
    set("AWS_LAMBDA_FUNCTION_NAME", &spec.function);
    set("AWS_LAMBDA_FUNCTION_VERSION", &spec.version);
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory);
    set("AWS_LAMBDA_INITIALIZATION_TYPE", spec.initialization.name());
    if spec.initialization != Initialization::SnapStart {
        set("AWS_LAMBDA_LOG_GROUP_NAME", &spec.log_group);
        set("AWS_LAMBDA_LOG_STREAM_NAME", session.log_stream);
    }
    set("AWS_LAMBDA_RUNTIME_API", session.runtime_api);
    set("LAMBDA_TASK_ROOT", "/var/task");
    set("LAMBDA_RUNTIME_DIR", "/var/runtime");
    if spec.initialization == Initialization::SnapStart {
        // What is in its memory at its snapshot would be old in each environment.
        set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{API}{CREDENTIALS_PATH}"));
        set("AWS_CONTAINER_AUTHORIZATION_TOKEN", session.token);
        return all;
    }
    let Credentials { access_key_id, secret, session_token } = session.credentials;
    set("AWS_ACCESS_KEY_ID", access_key_id);
    set("AWS_SECRET_ACCESS_KEY", secret.reveal());
    if matches!(kind, Kind::Java { major: 8 | 11 }) {
        set("AWS_ACCESS_KEY", access_key_id);
        set("AWS_SECRET_KEY", secret.reveal());
    }
    set("AWS_SESSION_TOKEN", session_token.as_deref().unwrap_or_default());
    all
}

/// Names that a function's own variables never replace (contract, section 6).
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 18] = [
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ];
    name.starts_with('_') || RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::test_support::{runtime, spec};
    use hearth_types::function::LogLevel;

    fn session() -> Session<'static> {
        static CREDENTIALS: LazyLock<Credentials> = LazyLock::new(crate::test_support::credentials);
        Session {
            log_stream: "2024/03/05/[$LATEST]0",
            runtime_api: RUNTIME_API,
            api: API,
            credentials: &CREDENTIALS,
            token: "",
        }
    }

    fn text(list: &[CString]) -> Vec<&str> {
        list.iter().map(|c| c.to_str().unwrap()).collect()
    }

    #[test]
    fn variables_are_those_recorded_for_python() {
        let mut spec = spec("python3.12");
        spec.variables.clear();
        let launch = launch(&runtime(Kind::Python { minor: 12 }), &spec, session()).unwrap();
        let mut names: Vec<&str> = text(&launch.env).iter().map(|v| v.split_once('=').unwrap().0).collect();
        names.sort_unstable();
        // Recorded, less the trace id, which the bootstrap sets; and where the server is.
        let recorded = [
            "AWS_ACCESS_KEY_ID",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_VERSION",
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_XRAY_CONTEXT_MISSING",
            "AWS_XRAY_DAEMON_ADDRESS",
            "LAMBDA_RUNTIME_DIR",
            "LAMBDA_TASK_ROOT",
            "LANG",
            "LC_CTYPE",
            "LD_LIBRARY_PATH",
            "PATH",
            "PWD",
            "PYTHONPATH",
            "SHLVL",
            "TZ",
            "_AWS_XRAY_DAEMON_ADDRESS",
            "_AWS_XRAY_DAEMON_PORT",
            "_HANDLER",
        ];
        assert_eq!(names, recorded);
        assert_eq!(text(&launch.argv), ["/var/lang/bin/python3.12", "-I", "-S", "/var/runtime/bootstrap.pyc"]);
    }

    #[test]
    fn a_function_sets_what_it_may_and_no_more() {
        let mut spec = spec("nodejs20.x");
        spec.variables = [("TZ", "Asia/Tokyo"), ("LAMBDA_TASK_ROOT", "/x"), ("_X", "1"), ("MINE", "a=b")]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        spec.variables.push(("AWS_ENDPOINT_URL".into(), "http://elsewhere".into()));
        spec.variables.push(("AWS_ACCESS_KEY_ID".into(), "mine".into()));
        let launch = launch(&runtime(Kind::Node { major: 20 }), &spec, session()).unwrap();
        let env = text(&launch.env);
        assert!(env.contains(&"AWS_ENDPOINT_URL=http://elsewhere") && env.contains(&"AWS_ACCESS_KEY_ID=ASIA"));
        assert!(env.contains(&"TZ=Asia/Tokyo") && !env.contains(&"TZ=:UTC") && env.contains(&"MINE=a=b"));
        assert!(env.contains(&"LAMBDA_TASK_ROOT=/var/task") && !env.iter().any(|v| v.starts_with("_X=")), "{env:?}");
    }

    #[test]
    fn the_log_format_is_told_where_it_is_json() {
        let mut spec = spec("python3.12");
        let told = |spec: &VersionSpec| {
            let env = launch(&runtime(Kind::Python { minor: 12 }), spec, session()).unwrap().env;
            text(&env).into_iter().filter(|v| v.starts_with("AWS_LAMBDA_LOG_")).map(str::to_owned).collect::<Vec<_>>()
        };
        let always = ["AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f", "AWS_LAMBDA_LOG_STREAM_NAME=2024/03/05/[$LATEST]0"];
        assert_eq!(told(&spec), always);
        spec.log_format = LogFormat::Json { application: LogLevel::Warn, system: LogLevel::Info };
        let json = ["AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_LOG_LEVEL=WARN"];
        assert_eq!(told(&spec), [json, always].concat());
        spec.variables = vec![("AWS_LAMBDA_LOG_LEVEL".into(), "DEBUG".into())];
        assert!(told(&spec).contains(&"AWS_LAMBDA_LOG_LEVEL=DEBUG".to_owned()), "the function may set another");
    }

    #[test]
    fn a_wrapper_gets_the_command_line_and_provided_has_none() {
        let mut spec = spec("python3.12");
        spec.variables = vec![("AWS_LAMBDA_EXEC_WRAPPER".into(), "/var/task/wrap".into())];
        let python = launch(&runtime(Kind::Python { minor: 12 }), &spec, session()).unwrap();
        assert_eq!(text(&python.argv)[..2], ["/var/task/wrap", "/var/lang/bin/python3.12"]);
        let provided = launch(&runtime(Kind::Provided), &spec, session()).unwrap();
        assert_eq!(text(&provided.argv), ["/var/task/bootstrap"]);
    }

    #[test]
    fn a_function_that_sets_python_variables_gets_their_effect() {
        let mut spec = spec("python3.12");
        spec.variables = vec![("PYTHONPATH".into(), "/var/task/lib".into())];
        let launch = launch(&runtime(Kind::Python { minor: 12 }), &spec, session()).unwrap();
        assert!(!text(&launch.argv).contains(&"-I"));
    }

    #[test]
    fn a_nul_byte_is_an_error() {
        let mut spec = spec("python3.12");
        spec.handler = "a\0b".into();
        assert!(launch(&runtime(Kind::Provided), &spec, session()).is_err());
    }
}
