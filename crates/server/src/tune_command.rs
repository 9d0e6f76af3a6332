//! `hearth tune`: which memory serves a function best.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use hearth_logs::escape_for_terminal;
use hearth_types::FunctionRef;
use http::Method;
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::asking::{Question, ask};
use crate::cli::TuneArgs;
use crate::invoke_command::{encoded, payload};
use crate::table::{Align, money, table};
use crate::tune::{Line, Setting};
use crate::tune_chart::chart;

/// What all settings came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Tuned {
    pub(crate) currency: String,
    /// From the smallest memory to the largest.
    pub(crate) settings: Vec<Setting>,
    /// Memories in MB with which it does not run, and why.
    pub(crate) failed: Vec<(u32, String)>,
    pub(crate) best: Option<Best>,
}

/// Memories in MB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Best {
    pub(crate) cheapest: u32,
    pub(crate) fastest: u32,
    /// The least of time and cost together, each as a part of the most there is.
    pub(crate) balanced: u32,
}

pub(crate) fn run(args: &TuneArgs) -> Result<()> {
    let tuned = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tune(args))?;
    if let Some(file) = &args.svg {
        std::fs::write(file, chart(&args.function, &tuned)).with_context(|| format!("--svg {}", file.display()))?;
    }
    let text = if args.json { format!("{}\n", serde_json::to_string(&tuned)?) } else { shown(&tuned) };
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output")?;
    if tuned.settings.is_empty() {
        bail!("the function runs with none of these memories");
    }
    Ok(())
}

async fn tune(args: &TuneArgs) -> Result<Tuned> {
    let event = payload(&args.payload)?;
    let event: &RawValue = serde_json::from_slice(&event).context("--payload is no JSON")?;
    let mut memory = args.memory.clone();
    memory.sort_unstable();
    memory.dedup();
    let (function, qualifier) = (&args.function, &args.qualifier);
    let body =
        json!({ "function": function, "qualifier": qualifier, "payload": event, "memory": memory, "runs": args.runs });
    let path = format!("/_hearth/tune/{}", encoded(&FunctionRef::parse(function).name));
    let response = ask(Question {
        endpoint: &args.endpoint,
        method: Method::POST,
        path: &path,
        body: Bytes::from(body.to_string()),
        service: "lambda",
    });
    let mut body = response.await?.into_body();
    let (mut tuned, mut read, mut is_whole) = (Tuned::default(), BytesMut::new(), false);
    let is_watched = std::io::stderr().is_terminal();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line = read.split_to(end);
            read.advance(1);
            match serde_json::from_slice(&line).context("the server's answer is not what this version asks for")? {
                Line::Progress { memory_mb, done, of } if is_watched => {
                    eprint!("\r\x1b[K{memory_mb} MB: {done} of {of}")
                }
                Line::Progress { .. } => {}
                Line::Setting(setting) => tuned.settings.push(setting),
                Line::Failed { memory_mb, why } => tuned.failed.push((memory_mb, why)),
                Line::End { currency } => (tuned.currency, is_whole) = (currency, true),
            }
        }
    }
    if is_watched {
        eprint!("\r\x1b[K");
    }
    if !is_whole {
        bail!("the server ended before all memories were tried");
    }
    tuned.best = best(&tuned.settings);
    Ok(tuned)
}

/// Of equals the smaller memory.
fn best(settings: &[Setting]) -> Option<Best> {
    let most = |of: fn(&Setting) -> f64| settings.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let (slowest, dearest) = (most(|setting| setting.mean_ms), most(|setting| setting.cost));
    let least = |of: &dyn Fn(&Setting) -> f64| {
        let least = settings.iter().min_by(|a, b| of(a).total_cmp(&of(b)));
        least.map(|setting| setting.memory_mb)
    };
    Some(Best {
        cheapest: least(&|setting| setting.cost)?,
        fastest: least(&|setting| setting.mean_ms)?,
        balanced: least(&|setting| setting.mean_ms / slowest + setting.cost / dearest)?,
    })
}

fn shown(tuned: &Tuned) -> String {
    let right = |head| (head, Align::Right);
    let cost = format!("{} A MILLION", tuned.currency);
    let heads = [
        right("MB"),
        right("CORES"),
        right("INIT MS"),
        right("MEAN MS"),
        right("MEDIAN MS"),
        right("MOST MS"),
        right(&cost),
        ("", Align::Left),
    ];
    let marks = |mb: u32| {
        let best = tuned.best.iter();
        let named =
            best.flat_map(|best| [(best.cheapest, "cheapest"), (best.fastest, "fastest"), (best.balanced, "balanced")]);
        named.filter(|(of, _)| *of == mb).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
    };
    let rows: Vec<_> = tuned
        .settings
        .iter()
        .map(|setting| {
            vec![
                setting.memory_mb.to_string(),
                format!("{:.2}", setting.cores),
                setting.init_ms.map_or_else(String::new, |ms| format!("{ms:.2}")),
                format!("{:.2}", setting.mean_ms),
                format!("{:.2}", setting.median_ms),
                format!("{:.2}", setting.most_ms),
                money(setting.cost * 1e6),
                marks(setting.memory_mb),
            ]
        })
        .collect();
    let mut lines = table(&heads, &rows);
    let failed = tuned.failed.iter().map(|(mb, why)| format!("{mb} MB: {}", escape_for_terminal(why)));
    lines.extend(failed);
    lines.join("\n") + "\n"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn setting(memory_mb: u32, mean_ms: f64, cost: f64) -> Setting {
        Setting {
            memory_mb,
            runs: 5,
            init_ms: Some(80.0),
            mean_ms,
            least_ms: mean_ms,
            median_ms: mean_ms,
            most_ms: mean_ms,
            cost,
            cores: 0.5,
        }
    }

    #[test]
    fn the_best_are_named() {
        let settings = [setting(128, 100.0, 2e-7), setting(512, 25.0, 2.1e-7), setting(1769, 20.0, 6e-7)];
        assert_eq!(best(&settings), Some(Best { cheapest: 128, fastest: 1769, balanced: 512 }));
        assert_eq!(best(&[]), None);
        let tuned = Tuned {
            currency: "USD".to_owned(),
            best: best(&settings),
            settings: settings.to_vec(),
            failed: vec![(3008, "no\x1b[1m".to_owned())],
        };
        let text = shown(&tuned);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains("USD A MILLION") && lines[1].ends_with("0.2000  cheapest"), "{text}");
        assert!(
            lines[2].ends_with("balanced") && lines[3].ends_with("fastest") && !lines[4].contains('\x1b'),
            "{text}"
        );
    }
}
