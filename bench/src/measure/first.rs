//! The first invoke after a deployment, and after a restart: each on a server of its own, which has seen no other function.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::args::RunArgs;
use crate::client::{Connection, Target};
use crate::functions::{self, Package};
use crate::measure::{AMPLE, FULL_MB};
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const SERVERS: usize = 10;
/// Fewer show nothing.
const SERVERS_AT_LEAST: usize = 3;
/// What a client's next command takes.
const NEXT_COMMAND: Duration = Duration::from_millis(500);
/// Where the first invoke comes from: what it is the first after, and how long after the function is active, or the server ready.
const FIRSTS: [(&str, After, Duration); 3] = [
    ("first-after-create/at-once", After::Create, Duration::ZERO),
    ("first-after-create/next-command", After::Create, NEXT_COMMAND),
    ("first-after-restart", After::Restart, NEXT_COMMAND),
];
const NAME: &str = "first";

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Create,
    /// Of a server that had invoked the function.
    Restart,
}

/// With the defaults, and by turns where nothing is started ahead.
pub(super) fn measure(args: &RunArgs, report: &mut Report, packages: &[Package]) -> Result<()> {
    let nothing_ahead = [&AMPLE[..], &["--ahead", "0"]].concat();
    for (first_of, package) in FIRSTS.iter().flat_map(|first| packages.iter().map(move |package| (first, package))) {
        let (name, after, pause) = *first_of;
        let (mut foreseen, mut alone) = (Samples::default(), Samples::default());
        let mut found = 0;
        for _ in 0..args.samples(SERVERS).max(SERVERS_AT_LEAST) {
            let (took, by) = first(args, &AMPLE, package, (after, pause))?;
            foreseen.push(took);
            found += usize::from(by != "nothing");
            alone.push(first(args, &nothing_ahead, package, (after, pause))?.0);
        }
        let figures = [
            ("cold_p50_ms", foreseen.quantile_ms(0.5)),
            ("cold_max_ms", foreseen.quantile_ms(1.0)),
            ("nothing_ahead_p50_ms", alone.quantile_ms(0.5)),
            ("nothing_ahead_max_ms", alone.quantile_ms(1.0)),
            ("found_of_all", found as f64 / foreseen.count() as f64),
        ];
        report.add(format!("cold/{}/{FULL_MB}MB/{name}", package.name), &figures);
    }
    Ok(())
}

/// How long the first invoke took on a server, and what its start found there.
fn first(args: &RunArgs, options: &[&str], package: &Package, when: (After, Duration)) -> Result<(Duration, String)> {
    let (after, pause) = when;
    let first = |server: &Server, connection: &mut Connection| -> Result<_> {
        thread::sleep(pause);
        let took = invoke(server, connection)?;
        let (_, answer) = connection.call("GET", &format!("/_hearth/functions/{NAME}/environments"), b"")?;
        let found = answer["Environments"][0]["InitPhases"]["Found"].as_str();
        Ok((took, found.with_context(|| format!("no phases: {answer}"))?.to_owned()))
    };
    let server = Server::start(args, options)?;
    let deployed = |server: &Server| -> Result<_> {
        let mut connection = server.connect()?;
        functions::deploy(&mut connection, NAME, package, FULL_MB)?;
        Ok(connection)
    };
    match after {
        After::Create => Ok(server.used(|server| first(server, &mut deployed(server)?))?.0),
        After::Restart => {
            let (_, data) = server.used(|server| invoke(server, &mut deployed(server)?))?;
            let again = Server::start_in(args, options, data)?;
            let measured = again.used(|server| {
                let mut connection = server.connect()?;
                connection.call("GET", "/_hearth/health", b"")?;
                first(server, &mut connection)
            })?;
            Ok(measured.0)
        }
    }
}

fn invoke(server: &Server, connection: &mut Connection) -> Result<Duration> {
    let sent = Instant::now();
    connection.exchange_well(&Target::invoke(server.host(), NAME, b"{}").request)?;
    Ok(sent.elapsed())
}
