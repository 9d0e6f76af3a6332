//! Processes that are started before it is known for which function.

use std::ffi::CString;

use hearth_identity::{Credentials, Secret};
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::AHEAD_VARIABLES_BYTES;

use crate::catalogue::Kind;
use crate::launch::{API, Launch, Session, c_string, command, launch, of_runtime};
use crate::{RUNTIME_API, Runtime};

/// The variable that tells a bootstrap that it is to wait for its function; where it begins with a plus, in the way in which it
/// can be written down. Else its value only takes up room: the function's variables are written where the process's first ones
/// were.
const MARK: &str = "_HEARTH_AHEAD";

/// How names of variables begin that an interpreter, or a library of its, reads once at its start, and never again.
const READ_AT_START: [&str; 21] = [
    "AWS_LAMBDA_EXEC_WRAPPER",
    "BUNDLE_",
    "BUNDLER_",
    "GCONV_",
    "GEM_",
    "GLIBC_",
    "HOME",
    "ICU_",
    "LANG",
    "LC_",
    "LD_",
    "LOCPATH",
    "MALLOC_",
    "NODE_",
    "NLSPATH",
    "OPENSSL_",
    "PYTHON",
    "RUBY",
    "SSL_",
    "TZ",
    "UV_",
];

/// What begins like one of those, and is no such.
const NOT_READ_AT_START: [&str; 1] = ["NODE_ENV"];

/// What can be there before it is known for which function: the same for all functions of one such kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Ahead {
    /// A program that runs, and waits.
    Program {
        /// Index into [`crate::Catalogue::roots`].
        root: usize,
        /// The program's absolute path inside, then its arguments.
        argv: Vec<CString>,
        /// `NAME=value`.
        env: Vec<CString>,
        /// The working directory inside.
        cwd: CString,
    },
    /// A process that has no program yet.
    Process {
        /// Index into [`crate::Catalogue::roots`].
        root: usize,
    },
}

impl Ahead {
    /// The same, to be written down where it would wait. None where there is no program, or none that can.
    #[must_use]
    pub fn template(&self) -> Option<Self> {
        let mut template = self.clone();
        let Self::Program { argv, env, .. } = &mut template else { return None };
        let is_python = argv.first()?.to_bytes().starts_with(b"/var/lang/bin/python");
        let mark = env.last_mut().filter(|_| is_python)?;
        let text = mark.to_str().ok()?.strip_prefix(MARK)?.strip_prefix("=-")?;
        *mark = CString::new(format!("{MARK}=+{text}")).ok()?;
        Some(template)
    }
}

/// What can become `launch`'s process, which is that of `spec` in `runtime`. Without a program where something of the
/// function has its effect at the start of that only.
#[must_use]
pub fn ahead(runtime: &Runtime, spec: &VersionSpec, launch: &Launch) -> Ahead {
    program(runtime, spec, launch).unwrap_or(Ahead::Process { root: launch.root })
}

/// The same before there is an environment, of which nothing but the length of its credentials and the name of its log counts:
/// there is room for the longest. None where its process could not be started.
#[must_use]
pub fn foreseen(runtime: &Runtime, spec: &VersionSpec) -> Option<Ahead> {
    let nobody = Credentials { access_key_id: String::new(), secret: Secret::new(String::new()), session_token: None };
    let session = Session { log_stream: "", runtime_api: RUNTIME_API, api: API, credentials: &nobody, token: "" };
    launch(runtime, spec, session).ok().map(|start| ahead(runtime, spec, &start))
}

/// What can become the process of a usual function in `runtime` with so much memory: of one that sets nothing that is read at
/// the start only.
pub(crate) fn usual(runtime: &Runtime, memory_mb: u32) -> Ahead {
    let process = Ahead::Process { root: runtime.root };
    if waits_alone(runtime) {
        return process;
    }
    let argv = command(runtime, memory_mb, false).into_iter().map(c_string).collect::<Result<_, _>>();
    match (argv, variables(runtime)) {
        (Ok(argv), Some(env)) => Ahead::Program { root: runtime.root, argv, env, cwd: c"/var/task".to_owned() },
        _ => process,
    }
}

/// Whether a process waits without a program. A Java cannot enter a directory anew: it would stay in the one below the
/// function's code.
fn waits_alone(runtime: &Runtime) -> bool {
    matches!(runtime.kind, Kind::Provided | Kind::Java { .. })
}

fn program(runtime: &Runtime, spec: &VersionSpec, launch: &Launch) -> Option<Ahead> {
    let needed: usize = launch.env.iter().map(|variable| variable.as_bytes_with_nul().len()).sum();
    let reads = |(name, _): &(String, String)| is_read_at_start(name);
    if waits_alone(runtime) || needed > AHEAD_VARIABLES_BYTES || spec.variables.iter().any(reads) {
        return None;
    }
    let Launch { root, argv, cwd, .. } = launch;
    Some(Ahead::Program { root: *root, argv: argv.clone(), env: variables(runtime)?, cwd: cwd.clone() })
}

fn is_read_at_start(name: &str) -> bool {
    READ_AT_START.iter().any(|start| name.starts_with(start)) && !NOT_READ_AT_START.contains(&name)
}

/// What is known already, and room for [`AHEAD_VARIABLES_BYTES`] altogether.
fn variables(runtime: &Runtime) -> Option<Vec<CString>> {
    let known = [
        ("AWS_LAMBDA_RUNTIME_API", RUNTIME_API),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
    ];
    let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut all: Vec<String> = of_runtime(runtime.kind, &runtime.name)
        .into_iter()
        .chain(known)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let taken: usize = all.iter().map(|variable| variable.len() + 1).sum();
    let mark = format!("{MARK}=");
    let room = AHEAD_VARIABLES_BYTES.checked_sub(taken + mark.len() + 1)?;
    all.push(mark + &"-".repeat(room));
    all.into_iter().map(|variable| CString::new(variable).ok()).collect()
}

#[cfg(test)]
mod tests {
    use hearth_types::limits::ENVIRONMENT_BYTES;

    use super::*;
    use crate::test_support::{runtime, spec};

    fn of(kind: Kind, change: impl FnOnce(&mut VersionSpec)) -> Ahead {
        let runtime = runtime(kind);
        let mut spec = spec("r");
        change(&mut spec);
        let (log_stream, credentials) = ("2024/03/05/[$LATEST]0", crate::test_support::credentials());
        let session =
            Session { log_stream, runtime_api: RUNTIME_API, api: crate::API, credentials: &credentials, token: "" };
        ahead(&runtime, &spec, &launch(&runtime, &spec, session).unwrap())
    }

    #[test]
    fn what_is_usual_fits_usual_functions() {
        for kind in [
            Kind::Provided,
            Kind::Python { minor: 11 },
            Kind::Node { major: 20 },
            Kind::Ruby { minor: 3 },
            Kind::Java { major: 21 },
        ] {
            assert_eq!(usual(&runtime(kind), 512), of(kind, |spec| spec.memory_mb = 512), "{kind:?}");
        }
        assert_ne!(usual(&runtime(Kind::Node { major: 20 }), 512), of(Kind::Node { major: 20 }, |s| s.memory_mb = 256));
    }

    const PROCESS: Ahead = Ahead::Process { root: 3 };

    fn with(kind: Kind, name: &str, value: &str) -> Ahead {
        of(kind, |spec| spec.variables = vec![(name.into(), value.into())])
    }

    const PYTHON: Kind = Kind::Python { minor: 12 };
    const NODE: Kind = Kind::Node { major: 20 };

    #[test]
    fn functions_share_what_is_not_theirs() {
        let one = of(PYTHON, |_| {});
        let other = of(PYTHON, |spec| {
            (spec.function, spec.handler, spec.memory_mb) = ("g".into(), "x.y".into(), 3008);
            spec.variables = vec![("NODE_ENV".into(), "production".into()), ("PATH".into(), "/x".into())];
        });
        assert_eq!(other, one);
        let Ahead::Program { env, .. } = one else { panic!("{one:?}") };
        let bytes: usize = env.iter().map(|variable| variable.as_bytes_with_nul().len()).sum();
        assert_eq!(bytes, AHEAD_VARIABLES_BYTES);
        let told = |text: &str| env.iter().any(|variable| variable.to_str().unwrap().starts_with(text));
        assert!(told("_HEARTH_AHEAD=") && told("TZ=:UTC") && !told("_HANDLER") && !told("AWS_LAMBDA_FUNCTION_NAME"));
    }

    #[test]
    fn python_alone_is_written_down() {
        let usual = of(PYTHON, |_| {});
        let Some(Ahead::Program { argv, env, .. }) = usual.template() else { panic!("{usual:?}") };
        let Ahead::Program { argv: usual_argv, env: usual_env, .. } = &usual else { panic!("{usual:?}") };
        assert_eq!(&argv, usual_argv);
        let different: Vec<_> = env.iter().zip(usual_env).filter(|(one, other)| one != other).collect();
        let [(mark, _)] = *different.as_slice() else { panic!("{different:?}") };
        assert!(mark.to_str().unwrap().starts_with("_HEARTH_AHEAD=+-"));
        assert_eq!((of(NODE, |_| {}).template(), PROCESS.template()), (None, None));
    }

    #[test]
    fn what_is_foreseen_is_what_the_start_takes() {
        let variable = |name: &str, value: String| vec![(name.to_owned(), value)];
        for kind in [Kind::Provided, PYTHON, NODE, Kind::Ruby { minor: 3 }, Kind::Java { major: 21 }] {
            for variables in [
                Vec::new(),
                variable("MINE", "x".repeat(ENVIRONMENT_BYTES)),
                variable("PYTHONPATH", "/x".to_owned()),
                variable("TZ", "Asia/Tokyo".to_owned()),
            ] {
                let spec = VersionSpec { variables, ..spec("r") };
                assert_eq!(foreseen(&runtime(kind), &spec), Some(of(kind, |of| *of = spec)), "{kind:?}");
            }
        }
        let nul = VersionSpec { variables: variable("NUL", "\0".to_owned()), ..spec("r") };
        assert_eq!(foreseen(&runtime(PYTHON), &nul), None);
    }

    #[test]
    fn a_heap_of_another_size_is_another_start() {
        assert_ne!(of(NODE, |_| {}), of(NODE, |spec| spec.memory_mb = 3008));
        assert_ne!(of(NODE, |_| {}), of(PYTHON, |_| {}));
    }

    #[test]
    fn what_an_interpreter_reads_once_takes_a_start_of_its_own() {
        for name in [
            "TZ",
            "LANG",
            "LC_ALL",
            "LD_PRELOAD",
            "PYTHONPATH",
            "NODE_OPTIONS",
            "NODE_PATH",
            "HOME",
            "AWS_LAMBDA_EXEC_WRAPPER",
            "OPENSSL_CONF",
            "MALLOC_ARENA_MAX",
            "UV_THREADPOOL_SIZE",
            "SSL_CERT_FILE",
        ] {
            assert_eq!(with(PYTHON, name, "x"), PROCESS, "{name}");
            assert_eq!(with(NODE, name, "x"), PROCESS, "{name}");
        }
        assert_ne!(with(NODE, "NODE_ENV", "production"), PROCESS);
    }

    #[test]
    fn what_has_no_room_or_no_bootstrap_of_ours_has_a_process_alone() {
        assert_eq!(of(Kind::Provided, |_| {}), PROCESS);
        assert_eq!(with(PYTHON, "LONG", &"x".repeat(AHEAD_VARIABLES_BYTES)), PROCESS);
    }
}
