//! The first invoke after a deployment: each on a server of its own, which has seen no other.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::args::RunArgs;
use crate::client::Target;
use crate::functions::{self, Package};
use crate::measure::{AMPLE, FULL_MB};
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const SERVERS: usize = 10;
/// Fewer show nothing.
const SERVERS_AT_LEAST: usize = 3;
/// Between the function's being active and its invoke: none, as in a program, or what a client's next command takes.
const PAUSES: [(&str, Duration); 2] = [("at-once", Duration::ZERO), ("next-command", Duration::from_millis(500))];
const NAME: &str = "first";

/// With the defaults, and by turns where a deployment starts nothing ahead.
pub(super) fn measure(args: &RunArgs, report: &mut Report, packages: &[Package]) -> Result<()> {
    let nothing_ahead = [&AMPLE[..], &["--ahead", "0"]].concat();
    for (pause, package) in PAUSES.iter().flat_map(|pause| packages.iter().map(move |package| (pause, package))) {
        let (mut foreseen, mut alone) = (Samples::default(), Samples::default());
        let mut found = 0;
        for _ in 0..args.samples(SERVERS).max(SERVERS_AT_LEAST) {
            let (took, by) = first(args, &AMPLE, package, pause.1)?;
            foreseen.push(took);
            found += usize::from(by != "nothing");
            alone.push(first(args, &nothing_ahead, package, pause.1)?.0);
        }
        let figures = [
            ("cold_p50_ms", foreseen.quantile_ms(0.5)),
            ("cold_max_ms", foreseen.quantile_ms(1.0)),
            ("nothing_ahead_p50_ms", alone.quantile_ms(0.5)),
            ("nothing_ahead_max_ms", alone.quantile_ms(1.0)),
            ("found_of_all", found as f64 / foreseen.count() as f64),
        ];
        report.add(format!("cold/{}/{FULL_MB}MB/first-after-create/{}", package.name, pause.0), &figures);
    }
    Ok(())
}

/// How long the first invoke took on a new server, and what its start found there.
fn first(args: &RunArgs, options: &[&str], package: &Package, pause: Duration) -> Result<(Duration, String)> {
    Server::with(args, options, |server| {
        let mut connection = server.connect()?;
        functions::deploy(&mut connection, NAME, package, FULL_MB)?;
        thread::sleep(pause);
        let sent = Instant::now();
        connection.exchange_well(&Target::invoke(server.host(), NAME, b"{}").request)?;
        let took = sent.elapsed();
        let (_, answer) = connection.call("GET", &format!("/_hearth/functions/{NAME}/environments"), b"")?;
        let found = answer["Environments"][0]["InitPhases"]["Found"].as_str();
        Ok((took, found.with_context(|| format!("no phases: {answer}"))?.to_owned()))
    })
}
