//! Huawei's public trace of 2023, of its own functions: requests by minute.
//!
//! Each file has the columns `day` (from 0), `time` (seconds of that day) and one for each function, named by its number;
//! a cell is a count, and empty where there is none. The trace's other files (delays, memory, processors) are not read.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::{MINUTES_A_DAY, Minutes, columns, files, number, rows};
use crate::agenda::SECOND;
use crate::random::Random;
use crate::workload::{Arrivals, Function, Workload, drawn};

/// All files in the folder of requests by minute. What a function takes is drawn as generated functions have it.
///
/// # Errors
///
/// There are no files, or one is not of this format: it is named with the line.
pub fn huawei(folder: &Path, seed: u64) -> Result<Workload> {
    let mut all: BTreeMap<u32, Minutes> = BTreeMap::new();
    let (mut first, mut last) = (u32::MAX, 0);
    for path in files(folder, "")? {
        rows(&path, header, |(at, functions), row| {
            let [day, time] = at.map(|column| row.get(column).unwrap_or_default());
            let minute = number(day)? as u32 * MINUTES_A_DAY + number(time)? as u32 / 60;
            (first, last) = (first.min(minute), last.max(minute));
            for (column, function) in functions {
                let count = number(row.get(*column).unwrap_or_default())? as u32;
                let minutes = all.entry(*function).or_default();
                if count > 0 {
                    *minutes.entry(minute).or_default() += count;
                }
            }
            Ok(())
        })?;
    }
    let length = last.saturating_sub(first) + 1;
    let functions: Vec<Function> =
        all.into_iter().map(|(number, minutes)| function(seed, number, minutes, (first, length))).collect();
    Ok(Workload {
        name: format!("Huawei's trace: {} functions, {:.1} days", functions.len(), f64::from(length) / 1440.0),
        functions,
        until: u64::from(length) * 60 * SECOND,
    })
}

/// Where day and time are; and the functions, each with its number.
type Columns = ([usize; 2], Vec<(usize, u32)>);

fn header(header: &csv::StringRecord) -> Result<Columns> {
    let at = columns(header, ["day", "time"])?;
    let others = header.iter().enumerate().filter(|(column, _)| !at.contains(column));
    let named = others.map(|(column, name)| {
        let number = name.trim().parse().with_context(|| format!("{name} is no function's number"))?;
        Ok((column, number))
    });
    Ok((at, named.collect::<Result<_>>()?))
}

fn function(seed: u64, number: u32, minutes: Minutes, (first, length): (u32, u32)) -> Function {
    let calls: f64 = minutes.values().map(|count| f64::from(*count)).sum();
    let drawn =
        drawn(&mut Random::of_part(seed, u64::from(number)), calls * f64::from(MINUTES_A_DAY) / f64::from(length));
    let minutes = minutes.into_iter().map(|(minute, count)| (minute - first, count));
    Function { arrivals: Arrivals::Minutes(minutes.collect()), ..drawn }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_a_function() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("day_004.csv"), "day,time,0,7\n4,0,3,\n4,60,,2\n").unwrap();
        std::fs::write(folder.path().join("day_005.csv"), "day,time,0,7\n5,0,1.0,0\n").unwrap();
        let workload = huawei(folder.path(), 1).unwrap();
        assert_eq!(workload.until, 1441 * 60 * SECOND);
        let arrivals: Vec<&Arrivals> = workload.functions.iter().map(|function| &function.arrivals).collect();
        assert!(matches!(arrivals[0], Arrivals::Minutes(all) if **all == [(0, 3), (1440, 1)]));
        assert!(matches!(arrivals[1], Arrivals::Minutes(all) if **all == [(1, 2)]));
        assert_eq!(arrivals.len(), 2);
    }

    #[test]
    fn says_what_is_wrong_where() {
        let folder = tempfile::tempdir().unwrap();
        assert!(huawei(folder.path(), 1).is_err());
        std::fs::write(folder.path().join("a.csv"), "day,time,0\n1,0,3\n1,60,-3\n").unwrap();
        let told = format!("{:#}", huawei(folder.path(), 1).unwrap_err());
        assert!(told.contains("line 3") && told.contains("-3"), "{told}");
    }
}
