//! Azure's public trace of 2019 ("Azure Functions Trace 2019"): fourteen days, a file a day of each kind.
//!
//! - `invocations_per_function_md.anon.dNN.csv`: `HashOwner,HashApp,HashFunction,Trigger,1,...,1440`, calls by minute;
//! - `function_durations_percentiles.anon.dNN.csv`: `HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,
//!   percentile_Average_0,..._1,..._25,..._50,..._75,..._99,..._100`, milliseconds;
//! - `app_memory_percentiles.anon.dNN.csv`: `HashOwner,HashApp,SampleCount,AverageAllocatedMb,...`, MB of an application.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::{MINUTES_A_DAY, Minutes, columns, files, number, rows};
use crate::agenda::SECOND;
use crate::random::Random;
use crate::workload::{Arrivals, Durations, Function, Workload, drawn};

const CALLS: &str = "invocations_per_function_md.anon.d";
const DURATIONS: &str = "function_durations_percentiles.anon.d";
const MEMORY: &str = "app_memory_percentiles.anon.d";
const KEY: [&str; 3] = ["HashOwner", "HashApp", "HashFunction"];
/// Quantiles of the duration, and the columns that have them.
const QUANTILES: [(f32, &str); 7] = [
    (0.0, "percentile_Average_0"),
    (0.01, "percentile_Average_1"),
    (0.25, "percentile_Average_25"),
    (0.5, "percentile_Average_50"),
    (0.75, "percentile_Average_75"),
    (0.99, "percentile_Average_99"),
    (1.0, "percentile_Average_100"),
];

/// Owner, application and function.
type Key = (String, String, String);

/// All days in a folder, one after the other from the first on. Of durations the first day counts on which a function has
/// them, of memory the first of the application, which each of its functions then has; what is in no file is drawn as
/// generated functions have it, as is the cold start, which the trace does not tell.
///
/// # Errors
///
/// There are no files of calls, or one is not of this format: it is named with the line.
pub fn azure(folder: &Path, seed: u64) -> Result<Workload> {
    let (calls, days) = calls(folder)?;
    let durations = durations(folder)?;
    let memory = memory(folder)?;
    let functions = calls.into_iter().enumerate().map(|(index, (key, minutes))| {
        let mut random = Random::of_part(seed, index as u64);
        let drawn = drawn(&mut random, minutes.values().map(|count| f64::from(*count)).sum::<f64>() / f64::from(days));
        Function {
            memory_mb: memory.get(&(key.0.clone(), key.1.clone())).copied().unwrap_or(drawn.memory_mb),
            durations: durations.get(&key).cloned().unwrap_or(drawn.durations),
            arrivals: Arrivals::Minutes(minutes.into_iter().collect()),
            ..drawn
        }
    });
    let functions: Vec<Function> = functions.collect();
    Ok(Workload {
        name: format!("Azure's trace: {} functions, {days} days", functions.len()),
        functions,
        until: u64::from(days) * u64::from(MINUTES_A_DAY) * 60 * SECOND,
    })
}

/// Calls of each function, and how many days there are.
fn calls(folder: &Path) -> Result<(BTreeMap<Key, Minutes>, u32)> {
    let mut all: BTreeMap<Key, Minutes> = BTreeMap::new();
    let mut days = 0;
    for path in files(folder, CALLS)? {
        rows(
            &path,
            |header| {
                let found = (columns(header, KEY)?, columns(header, ["1"])?);
                columns(header, ["1440"])?;
                Ok(found)
            },
            |(of, [first]), row| {
                let minutes = all.entry(key(row, *of)).or_default();
                for (minute, field) in row.iter().skip(*first).take(MINUTES_A_DAY as usize).enumerate() {
                    let count = number(field)? as u32;
                    if count > 0 {
                        *minutes.entry(days * MINUTES_A_DAY + minute as u32).or_default() += count;
                    }
                }
                Ok(())
            },
        )?;
        days += 1;
    }
    Ok((all, days))
}

fn durations(folder: &Path) -> Result<BTreeMap<Key, Durations>> {
    let mut all = BTreeMap::new();
    for path in files(folder, DURATIONS).unwrap_or_default() {
        rows(
            &path,
            |header| Ok((columns(header, KEY)?, columns(header, QUANTILES.map(|(_, name)| name))?)),
            |(of, at), row| {
                let mut points = Vec::with_capacity(QUANTILES.len());
                for ((quantile, name), column) in QUANTILES.into_iter().zip(at) {
                    let ms = number(row.get(*column).unwrap_or_default()).context(name)?;
                    points.push((quantile, (ms * SECOND as f64 / 1000.0) as u64));
                }
                all.entry(key(row, *of)).or_insert(Durations::Quantiles(points.into()));
                Ok(())
            },
        )?;
    }
    Ok(all)
}

/// MB by owner and application.
fn memory(folder: &Path) -> Result<BTreeMap<(String, String), u32>> {
    let mut all = BTreeMap::new();
    for path in files(folder, MEMORY).unwrap_or_default() {
        rows(
            &path,
            |header| columns(header, ["HashOwner", "HashApp", "AverageAllocatedMb"]),
            |at, row| {
                let [owner, app, mb] = at.map(|column| row.get(column).unwrap_or_default().to_owned());
                all.entry((owner, app)).or_insert((number(&mb)?.ceil() as u32).max(1));
                Ok(())
            },
        )?;
    }
    Ok(all)
}

fn key(row: &csv::StringRecord, at: [usize; 3]) -> Key {
    let [owner, app, function] = at.map(|column| row.get(column).unwrap_or_default().to_owned());
    (owner, app, function)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(folder: &Path, day: u32, rows: &[(&str, &[(usize, u32)])]) {
        let minutes: Vec<String> = (1..=1440).map(|minute| minute.to_string()).collect();
        let mut text = format!("HashOwner,HashApp,HashFunction,Trigger,{}\n", minutes.join(","));
        for (function, counts) in rows {
            let mut fields = vec!["0".to_owned(); 1440];
            counts.iter().for_each(|(minute, count)| fields[*minute - 1] = count.to_string());
            text += &format!("o,a,{function},http,{}\n", fields.join(","));
        }
        std::fs::write(folder.join(format!("{CALLS}{day:02}.csv")), text).unwrap();
    }

    #[test]
    fn days_follow_one_another_with_what_the_other_files_tell() {
        let folder = tempfile::tempdir().unwrap();
        day(folder.path(), 1, &[("f", &[(1, 2), (1440, 1)]), ("g", &[(10, 5)])]);
        day(folder.path(), 2, &[("f", &[(3, 7)])]);
        let durations = "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,percentile_Average_1,\
                         percentile_Average_25,percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100\n\
                         o,a,f,5,10,1,9,1,1,3,5,7,9,9\n";
        std::fs::write(folder.path().join(format!("{DURATIONS}01.csv")), durations).unwrap();
        let memory = "HashOwner,HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct1\no,a,3,170.2,1\n";
        std::fs::write(folder.path().join(format!("{MEMORY}01.csv")), memory).unwrap();

        let workload = azure(folder.path(), 1).unwrap();
        assert_eq!(workload.until, 2 * 86_400 * SECOND);
        let [f, g] = &workload.functions[..] else { panic!("{} functions", workload.functions.len()) };
        assert!(matches!(&f.arrivals, Arrivals::Minutes(all) if **all == [(0, 2), (1439, 1), (1442, 7)]));
        assert!(matches!(&g.arrivals, Arrivals::Minutes(all) if **all == [(9, 5)]));
        assert!(matches!(&f.durations, Durations::Quantiles(points) if points[3] == (0.5, 5_000_000)));
        assert!(matches!(&g.durations, Durations::Around(_)));
        assert_eq!((f.memory_mb, g.memory_mb), (171, 171));
    }

    #[test]
    fn says_what_is_wrong_where() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = |text: &str| {
            std::fs::write(folder.path().join(format!("{CALLS}01.csv")), text).unwrap();
            format!("{:#}", azure(folder.path(), 1).unwrap_err())
        };
        assert!(wrong("HashOwner,HashApp\n").contains("there is no column HashFunction"));
        let minutes: Vec<String> = (1..=1440).map(|minute| minute.to_string()).collect();
        let header = format!("HashOwner,HashApp,HashFunction,Trigger,{}\n", minutes.join(","));
        let bad = vec!["x"; 1440].join(",");
        let told = wrong(&format!("{header}o,a,f,http,{bad}\n"));
        assert!(told.contains("line 2") && told.contains("x is not a number"), "{told}");
        assert!(azure(&folder.path().join("none"), 1).is_err());
    }
}
