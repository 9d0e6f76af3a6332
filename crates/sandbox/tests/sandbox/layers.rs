//! Layers at /opt.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use hearth_types::CodeDigest;

use crate::harness::{Probe, World, json};

impl World {
    /// An unpacked package with these files: path, content, mode.
    fn layer(&self, number: u8, files: &[(&str, &str, u32)]) -> CodeDigest {
        let digest = CodeDigest([number; 32]);
        for (path, content, mode) in files {
            let file = self.folder_of(digest).join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(*mode)).unwrap();
        }
        digest
    }

    fn folder_of(&self, digest: CodeDigest) -> PathBuf {
        self.data.as_ref().unwrap().path().join("code").join(digest.to_string())
    }

    async fn with_layers(&self, layers: Vec<CodeDigest>, script: &str) -> serde_json::Value {
        json(&self.output(Probe { layers, ..Probe::new(script) }).await)
    }
}

/// What a function sees of the files at /opt.
const LISTING: &str = "import os, json\n\
    seen = {}\n\
    for folder, _, names in os.walk('/opt'):\n  \
      for name in names:\n    \
        path = os.path.join(folder, name)\n    \
        seen[path] = [open(path).read(), oct(os.stat(path).st_mode & 0o7777)]\n\
    print(json.dumps(seen, sort_keys=True))";

pub(crate) async fn the_last_layer_covers_the_others(world: World) {
    let files = |number: u8| {
        let own = format!("own/{number}");
        let content = number.to_string();
        world.layer(number, &[("same", &content, 0o644), (&own, &content, if number % 2 == 1 { 0o755 } else { 0o644 })])
    };
    let layers: Vec<_> = (1..=5).map(files).collect();
    let seen = world.with_layers(layers.clone(), LISTING).await;
    assert_eq!(seen["/opt/same"], serde_json::json!(["5", "0o644"]));
    for number in [1, 3, 5] {
        assert_eq!(seen[format!("/opt/own/{number}")], serde_json::json!([number.to_string(), "0o755"]));
    }
    let [first, second, ..] = layers[..] else { unreachable!() };
    let seen = world.with_layers(vec![second, first], LISTING).await;
    assert_eq!(seen["/opt/same"][0], "1", "the order is the function's, not the layers'");
    let seen = world.with_layers(vec![first, second, first], LISTING).await;
    assert_eq!(seen["/opt/same"][0], "1", "two layers may have one content");
    let seen = world.with_layers(vec![first], LISTING).await;
    assert_eq!(seen, serde_json::json!({ "/opt/own/1": ["1", "0o755"], "/opt/same": ["1", "0o644"] }));
    assert_eq!(world.with_layers(vec![], LISTING).await, serde_json::json!({}));
}

pub(crate) async fn programs_of_layers_run(world: World) {
    let program = "#!/usr/bin/python3.11\nprint('ran')\n";
    let layers = vec![
        world.layer(1, &[("bin/tool", program, 0o755), ("bin/data", program, 0o644)]),
        world.layer(2, &[("bin/other", program, 0o755)]),
    ];
    let probe = "import subprocess, json\n\
        def run(name):\n  \
          try: return subprocess.run(['/opt/bin/' + name], capture_output=True, text=True).stdout\n  \
          except OSError as e: return e.strerror\n\
        print(json.dumps([run('tool'), run('other'), run('data')]))";
    for layers in [layers.clone(), layers[..1].to_vec()] {
        let seen = world.with_layers(layers.clone(), probe).await;
        let other = if layers.len() > 1 { "ran\n" } else { "No such file or directory" };
        assert_eq!(seen, serde_json::json!(["ran\n", other, "Permission denied"]));
    }
}

pub(crate) async fn a_layer_neither_escapes_nor_is_written(world: World) {
    let hostile = world.layer(1, &[("tool", "x", 0o4755), ("data", "x", 0o666)]);
    let folder = world.folder_of(hostile);
    for (name, target) in
        [("absolute", "/"), ("up", "../../../../.."), ("init", "/proc/1/root"), ("code", "/var/task/app.py")]
    {
        symlink(target, folder.join(name)).unwrap();
    }
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    let plain = world.layer(2, &[("other", "x", 0o666)]);
    let probe = "import os, json\n\
        def attempt(f, *a):\n  \
          try: f(*a); return 'done'\n  \
          except OSError as e: return e.strerror\n\
        v = os.statvfs('/opt')\n\
        print(json.dumps({\n\
        'writes': [attempt(open, '/opt/' + n, 'w') for n in ['new', 'tool', 'data', 'up/opt/new']] +\n\
          [attempt(os.unlink, '/opt/data'), attempt(os.rename, '/opt/data', '/opt/b'), attempt(os.mkdir, '/opt/d'),\n\
           attempt(os.chmod, '/opt/data', 0o777), attempt(os.symlink, '/', '/opt/s'), attempt(os.setxattr, '/opt/data', 'user.a', b'')],\n\
        'mounts': [attempt(os.listdir, '/opt/init')],\n\
        'same': [os.listdir('/opt/absolute') == os.listdir('/'), os.listdir('/opt/up') == os.listdir('/')],\n\
        'code': open('/opt/code').read(), 'flags': v.f_flag & 7,\n\
        'table': [line.split() for line in open('/proc/self/mounts') if ' /opt ' in line]}))";
    for layers in [vec![hostile], vec![hostile, plain], vec![plain, hostile]] {
        let seen = world.with_layers(layers.clone(), probe).await;
        for write in seen["writes"].as_array().unwrap() {
            let refused = ["Read-only file system", "Permission denied", "Operation not permitted"];
            assert!(refused.contains(&write.as_str().unwrap()), "{seen}");
        }
        assert_ne!(seen["mounts"][0], "done", "init's root stays closed");
        assert_eq!(seen["same"], serde_json::json!([true, true]), "links lead to the environment's own root");
        assert_eq!(seen["code"], "x = 1\n");
        assert_eq!(seen["flags"], 7, "read-only, no set-user-id, no devices");
        assert_eq!(seen["table"].as_array().unwrap().len(), 1);
        let told = seen["table"].to_string();
        let data = world.data.as_ref().unwrap().path().display().to_string();
        assert!(!told.contains(&data), "the table names no folder of the host: {told}");
    }
    for digest in [hostile, plain] {
        assert!(!world.folder_of(digest).join("new").exists());
    }
}

pub(crate) async fn a_package_that_is_not_there_is_an_error(world: World) {
    let there = world.layer(1, &[("a", "a", 0o644)]);
    for layers in [vec![CodeDigest([9; 32])], vec![there, CodeDigest([9; 32])]] {
        let (_output, theirs) = std::io::pipe().unwrap();
        let probe = Probe { layers, ..Probe::new("") };
        let (assignment, program) = (probe.assignment(), probe.program(theirs.into()));
        let made = world.spawner.make(probe.tmp).await.unwrap();
        let started = world.spawner.start(made, 0).await.unwrap();
        let error = world.spawner.assign(started, assignment, program).await.err().unwrap().to_string();
        assert!(error.contains("opening the package 0909") && error.contains("No such file"), "{error}");
    }
    let (_output, theirs) = std::io::pipe().unwrap();
    let probe = Probe { layers: vec![there; 6], ..Probe::new("") };
    let (assignment, program) = (probe.assignment(), probe.program(theirs.into()));
    let made = world.spawner.make(probe.tmp).await.unwrap();
    let started = world.spawner.start(made, 0).await.unwrap();
    let error = world.spawner.assign(started, assignment, program).await.err().unwrap().to_string();
    assert_eq!(error, "6 layers: at most 5 can be mounted");
}

pub(crate) async fn another_program_runs_where_the_first_is_missing(world: World) {
    let layers = vec![world.layer(1, &[("bootstrap", "#!/usr/bin/python3.11\nprint('from the layer')\n", 0o755)])];
    let run = async |first: &'static std::ffi::CStr| {
        let (output, theirs) = std::io::pipe().unwrap();
        let probe = Probe { layers: layers.clone(), ..Probe::new("") };
        let (assignment, mut program) = (probe.assignment(), probe.program(theirs.into()));
        program.argv = vec![first.to_owned()];
        program.otherwise = Some(c"/opt/bootstrap".to_owned());
        let made = world.spawner.make(probe.tmp).await.unwrap();
        let started = world.spawner.start(made, 0).await.unwrap();
        let sandbox = world.spawner.assign(started, assignment, program).await?;
        let text = crate::harness::Running { sandbox, output }.read_all().await;
        Ok::<_, hearth_sandbox::SandboxError>(text)
    };
    assert_eq!(run(c"/var/task/bootstrap").await.unwrap(), "from the layer\n");
    let error = run(c"/var/task/app.py").await.err().unwrap().to_string();
    assert!(error.contains("executing /var/task/app.py: Permission denied"), "one that is there is taken: {error}");
}
