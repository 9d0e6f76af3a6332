//! `POST /_hearth/tune/FUNCTION`: runs a function with several memories and says, line by line, what each comes to. The
//! function itself stays as it is; when who asked goes away, the trial ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_frontend::Tried;
use hearth_http::ResponseBody;
use hearth_metering::Prices;
use hearth_remote::Dispatcher;
use hearth_types::limits::{MEMORY_MAX_MB, MEMORY_MB_PER_CORE, MEMORY_MIN_MB, TUNE_RUNS, TUNE_SETTINGS};
use hearth_types::{FunctionRef, RequestId};
use http::{Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::admin::text;

/// Lines that wait for a slow reader.
const LINES: usize = 16;
/// Of the slowest and of the fastest runs, each, this part is left out of the mean.
const TRIMMED: f64 = 0.2;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The function as it was named, where that is not by its name alone: with a qualifier, or by an ARN.
    #[serde(default)]
    function: Option<String>,
    #[serde(default)]
    qualifier: Option<String>,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
    /// In MB.
    memory: Vec<u32>,
    /// Warm ones with each.
    runs: usize,
}

/// What one memory came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Setting {
    pub(crate) memory_mb: u32,
    /// How many runs that were warm.
    pub(crate) runs: usize,
    /// Of the first run: init, as it is billed.
    pub(crate) init_ms: Option<f64>,
    /// Of the warm ones; the mean is without the slowest and the fastest fifth.
    pub(crate) mean_ms: f64,
    pub(crate) least_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) most_ms: f64,
    /// Of a warm run as long as the mean.
    pub(crate) cost: f64,
    /// Cores that it has: what the memory gives, as far as the machine has them.
    pub(crate) cores: f64,
}

/// A line of the answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Line {
    /// So many of the runs with this memory are done.
    Progress {
        memory_mb: u32,
        done: usize,
        of: usize,
    },
    Setting(Setting),
    /// It does not run with this memory.
    Failed {
        memory_mb: u32,
        why: String,
    },
    /// All is done.
    End {
        currency: String,
    },
}

pub(crate) fn tune(dispatcher: &Arc<Dispatcher>, prices: &Prices, name: &str, body: &Bytes) -> Response<ResponseBody> {
    let wanted = match serde_json::from_slice::<Wanted>(body) {
        Ok(wanted) => wanted,
        Err(cause) => return text(StatusCode::BAD_REQUEST, format!("this is no request to tune: {cause}\n")),
    };
    if let Err(why) = wanted.check(name) {
        return text(StatusCode::BAD_REQUEST, format!("{why}\n"));
    }
    let name = wanted.function.as_deref().unwrap_or(name);
    // Whether there is such a function is known before anything is said.
    if let Err(error) = dispatcher.try_with(name, wanted.qualifier.as_deref(), MEMORY_MIN_MB) {
        return error.response().map(ResponseBody::from);
    }
    let (lines, body) = mpsc::channel(LINES);
    let all = run_all(Arc::clone(dispatcher), prices.clone(), name.to_owned(), wanted, lines.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = all => {}
            // Who asked has gone; what runs is dropped, and the trial with it.
            () = lines.closed() => {}
        }
    });
    let mut response = Response::new(ResponseBody::Pieces(body));
    let kind = header::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Wanted {
    /// `name` is that of the function that who asks may tune.
    fn check(&self, name: &str) -> Result<(), String> {
        if let Some(other) = self.function.as_deref().filter(|function| FunctionRef::parse(function).name != name) {
            return Err(format!("{other} is another function than {name}"));
        }
        let range = MEMORY_MIN_MB..=MEMORY_MAX_MB;
        if self.memory.is_empty() || self.memory.len() > TUNE_SETTINGS {
            return Err(format!("1 to {TUNE_SETTINGS} memories can be tried"));
        }
        if let Some(other) = self.memory.iter().find(|mb| !range.contains(mb)) {
            return Err(format!("a function has {MEMORY_MIN_MB} to {MEMORY_MAX_MB} MB of memory, not {other}"));
        }
        if !(1..=TUNE_RUNS).contains(&self.runs) {
            return Err(format!("1 to {TUNE_RUNS} runs can be asked for, not {}", self.runs));
        }
        Ok(())
    }
}

async fn run_all(
    dispatcher: Arc<Dispatcher>,
    prices: Prices,
    name: String,
    wanted: Wanted,
    lines: mpsc::Sender<Bytes>,
) {
    for memory_mb in &wanted.memory {
        let line = match with_memory(&dispatcher, &prices, &name, &wanted, *memory_mb, &lines).await {
            Ok(setting) => Line::Setting(setting),
            Err(why) => Line::Failed { memory_mb: *memory_mb, why },
        };
        say(&lines, &line).await;
    }
    say(&lines, &Line::End { currency: prices.currency }).await;
}

async fn with_memory(
    dispatcher: &Arc<Dispatcher>,
    prices: &Prices,
    name: &str,
    wanted: &Wanted,
    memory_mb: u32,
    lines: &mpsc::Sender<Bytes>,
) -> Result<Setting, String> {
    let trial = dispatcher.try_with(name, wanted.qualifier.as_deref(), memory_mb).map_err(said)?;
    let payload = wanted.payload.as_ref().map_or_else(|| "{}".to_owned(), |payload| payload.get().to_owned());
    let payload = Bytes::from(payload);
    let (mut init, mut warm) = (None, Vec::with_capacity(wanted.runs));
    while warm.len() < wanted.runs {
        let Tried { payload: answer, function_error, duration, init: made } =
            trial.run(RequestId(Uuid::new_v4()), payload.clone()).await.map_err(said)?;
        if function_error {
            return Err(String::from_utf8_lossy(&answer).chars().take(500).collect());
        }
        match made {
            // Only the first is cold, unless its environment is lost.
            Some(made) => init = init.or(Some(made)),
            None => warm.push(duration),
        }
        say(lines, &Line::Progress { memory_mb, done: warm.len(), of: wanted.runs }).await;
    }
    Ok(setting(prices, memory_mb, init, warm))
}

/// An error with what limit was reached, where one was: that of concurrency is that of room, too.
fn said(error: ApiError) -> String {
    let reason = error.extra.iter().find(|(member, _)| *member == "Reason");
    reason.map_or_else(|| error.to_string(), |(_, reason)| format!("{error} ({reason})"))
}

fn setting(prices: &Prices, memory_mb: u32, init: Option<Duration>, mut warm: Vec<Duration>) -> Setting {
    warm.sort();
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let beside = (warm.len() as f64 * TRIMMED) as usize;
    let middle = &warm[beside..warm.len() - beside];
    let mean_ms = middle.iter().copied().map(ms).sum::<f64>() / middle.len().max(1) as f64;
    let at = |place: usize| warm.get(place).copied().map_or(0.0, ms);
    let machine = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    Setting {
        memory_mb,
        runs: warm.len(),
        init_ms: init.map(ms),
        mean_ms,
        least_ms: at(0),
        median_ms: at(warm.len() / 2),
        most_ms: at(warm.len().saturating_sub(1)),
        cost: prices.of_run(memory_mb, mean_ms.ceil() as u64),
        cores: (f64::from(memory_mb) / f64::from(MEMORY_MB_PER_CORE)).min(machine),
    }
}

/// Who does not listen any more is noticed elsewhere.
async fn say(lines: &mpsc::Sender<Bytes>, line: &Line) {
    if let Ok(mut text) = serde_json::to_vec(line) {
        text.push(b'\n');
        let _ = lines.send(Bytes::from(text)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_leaves_out_what_is_far_from_it() {
        let warm = [10, 11, 900, 12, 1].map(Duration::from_millis).to_vec();
        let setting = setting(&Prices::default(), 1769, Some(Duration::from_millis(80)), warm);
        assert!((setting.mean_ms - 11.0).abs() < 1e-9, "{setting:?}");
        assert_eq!((setting.least_ms, setting.median_ms, setting.most_ms), (1.0, 11.0, 900.0));
        assert!((setting.cost - Prices::default().of_run(1769, 11)).abs() < 1e-15);
        assert!((setting.cores - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_tried_is_said() {
        let wanted = |memory: &[u32], runs| Wanted {
            function: None,
            qualifier: None,
            payload: None,
            memory: memory.to_vec(),
            runs,
        };
        assert!(wanted(&[128, 10_240], 5).check("f").is_ok());
        assert!(wanted(&[], 5).check("f").unwrap_err().contains("memories"));
        assert!(wanted(&[64], 5).check("f").unwrap_err().contains("not 64"));
        assert!(wanted(&[128], 0).check("f").unwrap_err().contains("runs"));
        // Who may tune one function may tune no other by naming it elsewhere.
        let named = |name: &str| Wanted { function: Some(name.to_owned()), ..wanted(&[128], 5) };
        assert!(named("f:live").check("f").is_ok());
        assert!(named("arn:aws:lambda:us-east-1:000000000000:function:f:1").check("f").is_ok());
        assert!(named("g:live").check("f").unwrap_err().contains("another function"));
    }
}
