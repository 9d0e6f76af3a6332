//! `hearth cost`: what functions used in a month.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use hearth_logs::escape_for_terminal;
use serde_json::Value;

use crate::asking::get_json;
use crate::cli::CostArgs;
use crate::table::{Align, money, table};

pub(crate) fn run(args: &CostArgs) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(answer(args))
}

async fn answer(args: &CostArgs) -> Result<()> {
    let query = args.month.as_ref().map(|month| format!("?month={month}")).unwrap_or_default();
    let use_of_month = get_json(&args.endpoint, &format!("/_hearth/usage{query}")).await?;
    let shown = match (args.prices, args.json) {
        (true, _) => format!("{:#}\n", use_of_month["prices"]),
        (false, true) => format!("{use_of_month}\n"),
        (false, false) => told(&use_of_month),
    };
    std::io::stdout().lock().write_all(shown.as_bytes()).context("standard output")
}

fn told(month: &Value) -> String {
    let currency = month["prices"]["currency"].as_str().unwrap_or_default();
    let heads = [
        ("FUNCTION", Align::Left),
        ("REQUESTS", Align::Right),
        ("GB-S", Align::Right),
        ("PROV. GB-S", Align::Right),
        ("PROV. GB-H", Align::Right),
        (currency, Align::Right),
    ];
    let row = |name: String, of: &Value| {
        let number = |member: &str| format!("{:.3}", of[member].as_f64().unwrap_or_default());
        vec![
            name,
            of["requests"].to_string(),
            number("gbSeconds"),
            number("provisionedGbSeconds"),
            number("allocatedGbHours"),
            money(of["total"].as_f64().unwrap_or_default()),
        ]
    };
    let mut rows: Vec<_> = month["functions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|of| {
            let name = of["function"].as_str().unwrap_or_default();
            row(if name.is_empty() { "(others)".to_owned() } else { escape_for_terminal(name) }, of)
        })
        .collect();
    rows.push(row("all".to_owned(), &month["total"]));
    let free = month["free"].as_f64().unwrap_or_default();
    let rest = (month["total"]["total"].as_f64().unwrap_or_default() - free).max(0.0);
    let mut text = format!("{}\n", month["month"].as_str().unwrap_or_default());
    for line in table(&heads, &rows) {
        text += &format!("{line}\n");
    }
    if free > 0.0 {
        text +=
            &format!("{} {currency} of it a month has for nothing: {} {currency} remain\n", money(free), money(rest));
    }
    text
}
