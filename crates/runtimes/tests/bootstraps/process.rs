//! A runtime's process and the Runtime API that it talks to, played by the test over a real socket.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hearth_identity::{Credentials, Secret};
use hearth_runtimes::{API, Catalogue, Kind, Session, discover, launch};
use hearth_types::invoke::VersionSpec;
use hearth_types::test_support::version;
use serde_json::Value;

/// A message of the runtime.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The last part of the path: `next`, `response`, `error`.
    pub(crate) fn kind(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

/// One running function.
pub(crate) struct Function {
    child: Child,
    reader: BufReader<TcpStream>,
    count: u32,
    pub(crate) request_id: String,
    _files: tempfile::TempDir,
}

/// All runtimes of this family that the machine has.
pub(crate) fn runtimes(wanted: impl Fn(Kind) -> bool) -> Vec<String> {
    let found = catalogue().runtimes().iter().filter(|r| wanted(r.kind)).map(|r| r.name.clone()).collect::<Vec<_>>();
    assert!(!found.is_empty(), "no interpreter of the family on this machine");
    found
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: std::sync::OnceLock<Catalogue> = std::sync::OnceLock::new();
    // Whichever Ruby the machine has: the bootstrap is for all.
    CATALOGUE.get_or_init(|| {
        let ruby = "ruby3.3=/usr/bin/ruby".parse().ok();
        discover(tempfile::tempdir().unwrap().path(), ruby.as_slice())
    })
}

impl Function {
    /// Starts `runtime` with these files as its package.
    pub(crate) fn start(runtime: &str, handler: &str, package: &[(&str, &str)]) -> Self {
        Self::start_with(runtime, handler, package, &[])
    }

    /// The same, with variables.
    pub(crate) fn start_with(
        runtime: &str,
        handler: &str,
        package: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let write = |path: &Path, content: &[u8]| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        for (name, content) in package {
            write(&files.path().join("task").join(name), content.as_bytes());
        }
        let runtime = catalogue().find(runtime, None).unwrap();
        for (path, content, _) in &catalogue().roots()[runtime.root].files {
            if let Ok(name) = path.strip_prefix("/var/runtime") {
                write(&files.path().join("runtime").join(name), content);
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let spec = spec(&runtime.name, handler, variables);
        let credentials =
            Credentials { access_key_id: "ASIA".to_owned(), secret: Secret::new("secret"), session_token: None };
        let session =
            Session { log_stream: "stream", runtime_api: &address, api: API, credentials: &credentials, token: "" };
        let start = launch(runtime, &spec, session).unwrap();
        // Outside a sandbox the directories lie elsewhere.
        let here = |text: &str| {
            text.replace("/var/task", files.path().join("task").to_str().unwrap())
                .replace("/var/runtime", files.path().join("runtime").to_str().unwrap())
        };
        let mut command = Command::new(runtime.location.as_ref().unwrap());
        command.args(start.argv[1..].iter().map(|a| here(a.to_str().unwrap())));
        command.env_clear().envs(start.env.iter().map(|v| {
            let (name, value) = v.to_str().unwrap().split_once('=').unwrap();
            (name.to_owned(), here(value))
        }));
        command.env_remove("LD_LIBRARY_PATH").current_dir(files.path().join("task"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { child, reader: BufReader::new(stream), count: 0, request_id: String::new(), _files: files }
    }

    /// The runtime's next message, answered with 202 unless it asks for an event.
    pub(crate) fn message(&mut self) -> Message {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let path = line.split(' ').nth(1).unwrap_or_else(|| panic!("no request but {line:?}")).to_owned();
        let mut headers = BTreeMap::new();
        self.fields(&mut headers);
        let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let body = if chunked {
            self.chunks(&mut headers)
        } else {
            let mut body = vec![0; headers.get("content-length").map_or(0, |l| l.parse().unwrap())];
            self.reader.read_exact(&mut body).unwrap();
            body
        };
        if !path.ends_with("/next") {
            self.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 16\r\n\r\n{\"status\":\"OK\"}\n");
        }
        Message { path, headers, body }
    }

    /// Lines of `Name: value` up to an empty one.
    fn fields(&mut self, fields: &mut BTreeMap<String, String>) {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => fields.insert(name.to_lowercase(), value.to_owned()),
                None => return,
            };
        }
    }

    /// A body in chunks; its trailers become headers.
    fn chunks(&mut self, headers: &mut BTreeMap<String, String>) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("{line:?}"));
            if size == 0 {
                self.fields(headers);
                return body;
            }
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..size]);
            assert_eq!(&chunk[size..], b"\r\n");
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Waits until the runtime asks for an event, gives it this one, and takes the answer.
    pub(crate) fn invoke(&mut self, event: &str) -> Message {
        self.invoke_with(event, "")
    }

    /// The same, with further headers, each ended by CR LF.
    pub(crate) fn invoke_with(&mut self, event: &str, headers: &str) -> Message {
        self.deliver(event, headers);
        self.message()
    }

    /// Gives the runtime an event, once it asks for one.
    pub(crate) fn deliver(&mut self, event: &str, headers: &str) {
        let next = self.message();
        assert_eq!(next.kind(), "next", "{next:?} {}", next.text());
        self.count += 1;
        self.request_id = format!("00000000-0000-4000-8000-{:012}", self.count);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: {}\r\n\
             lambda-runtime-deadline-ms: {}\r\nlambda-runtime-invoked-function-arn: arn:f\r\n\
             lambda-runtime-trace-id: Root=1-2-3\r\n{headers}content-length: {}\r\n\r\n",
            self.request_id,
            now + 3000,
            event.len()
        );
        self.write(&[head.as_bytes(), event.as_bytes()].concat());
    }

    /// Ends the runtime: what it wrote, standard output and standard error.
    pub(crate) fn output(mut self) -> (String, String) {
        self.child.kill().unwrap();
        self.read_output()
    }

    /// Waits for the runtime's own end: its exit status and output.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.read_output().0)
    }

    fn read_output(&mut self) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (out, err)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spec(runtime: &str, handler: &str, variables: &[(&str, &str)]) -> VersionSpec {
    let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    VersionSpec { handler: handler.into(), variables, ..version("f", runtime) }
}
