//! Time and cost against memory, as a picture (SVG): a line for each, on a scale of its own at its side.

use std::fmt::Write as _;

use crate::table::money;
use crate::tune::Setting;
use crate::tune_command::Tuned;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 780.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 390.0;
/// Lines of the scales.
const STEPS: u32 = 5;
/// Of a label, from its point.
const ABOVE: f64 = -9.0;
const BELOW: f64 = 18.0;
const TIME: &str = "#c2410c";
const COST: &str = "#1d4ed8";
const INK: &str = "#1f2937";
const GRID: &str = "#e5e7eb";

/// What a line shows of a setting.
type Read = fn(&Setting) -> f64;

/// The picture, as a file's text.
pub(crate) fn chart(function: &str, tuned: &Tuned) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, (LEFT, 30.0), "start", INK, 18, &format!("Time and cost of {function} by memory"));
    let time = Scale::up_to(tuned.settings.iter().map(|setting| setting.mean_ms));
    let cost = Scale::up_to(tuned.settings.iter().map(|setting| setting.cost * 1e6));
    scales(&mut svg, &time, &cost, &tuned.currency);
    let x = |at: usize| {
        let between = (RIGHT - LEFT) / tuned.settings.len().max(1) as f64;
        LEFT + between * (at as f64 + 0.5)
    };
    for (at, setting) in tuned.settings.iter().enumerate() {
        text(&mut svg, (x(at), BOTTOM + 18.0), "middle", INK, 12, &format!("{} MB", setting.memory_mb));
        text(&mut svg, (x(at), BOTTOM + 34.0), "middle", "#6b7280", 11, &format!("{:.2} cores", setting.cores));
        text(&mut svg, (x(at), BOTTOM + 52.0), "middle", INK, 11, &marks(tuned, setting.memory_mb));
    }
    let lines: [(&str, &Scale, Read); 2] =
        [(TIME, &time, |setting| setting.mean_ms), (COST, &cost, |setting| setting.cost * 1e6)];
    for (colour, scale, of) in lines {
        let points = tuned.settings.iter().enumerate();
        let points: Vec<_> = points.map(|(at, setting)| format!("{:.1},{:.1}", x(at), scale.y(of(setting)))).collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    for (at, setting) in tuned.settings.iter().enumerate() {
        let time_is_above = time.y(setting.mean_ms) <= cost.y(setting.cost * 1e6);
        for (colour, scale, of) in lines {
            let (x, y, value) = (x(at), scale.y(of(setting)), of(setting));
            // Beside its point on the side where the other line is not.
            let beside = if (colour == TIME) == time_is_above { ABOVE } else { BELOW };
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
            let shown = if colour == TIME { format!("{value:.1} ms") } else { money(value) };
            label(&mut svg, (x, y + beside), colour, &shown);
        }
    }
    svg + "</svg>\n"
}

fn marks(tuned: &Tuned, memory_mb: u32) -> String {
    let named = tuned
        .best
        .iter()
        .flat_map(|best| [(best.cheapest, "cheapest"), (best.fastest, "fastest"), (best.balanced, "balanced")]);
    named.filter(|(of, _)| *of == memory_mb).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

fn scales(svg: &mut String, time: &Scale, cost: &Scale, currency: &str) {
    for step in 0..=STEPS {
        let part = f64::from(step) / f64::from(STEPS);
        let y = BOTTOM - part * (BOTTOM - TOP);
        let _ = writeln!(svg, "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{GRID}\"/>");
        text(svg, (LEFT - 8.0, y + 4.0), "end", TIME, 12, &short(part * time.most));
        text(svg, (RIGHT + 8.0, y + 4.0), "start", COST, 12, &short(part * cost.most));
    }
    text(svg, (LEFT, 58.0), "start", TIME, 13, "mean time of a warm run, ms");
    text(svg, (RIGHT, 58.0), "end", COST, 13, &format!("cost of a million such runs, {currency}"));
}

/// From nothing to a round number that nothing exceeds.
struct Scale {
    most: f64,
}

impl Scale {
    fn up_to(values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max);
        if most <= 0.0 {
            return Self { most: 1.0 };
        }
        let magnitude = 10_f64.powf((most * 1.05).log10().floor());
        let round = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0].map(|times| times * magnitude);
        Self { most: round.into_iter().find(|round| *round >= most * 1.05).unwrap_or(10.0 * magnitude) }
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - value / self.most * (BOTTOM - TOP)
    }
}

/// Up to three digits.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Readable also where it crosses a line.
fn label(svg: &mut String, (x, y): (f64, f64), colour: &str, what: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"3\" \
         paint-order=\"stroke\" font-size=\"11\">{}</text>",
        escaped(what)
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, size: u32, what: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\" font-size=\"{size}\">{}</text>",
        escaped(what)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune_command::tests::setting;

    #[test]
    fn each_setting_is_drawn_once_on_each_line() {
        let settings = vec![setting(128, 100.0, 2e-7), setting(512, 25.0, 2.1e-7)];
        let tuned = Tuned { currency: "USD".to_owned(), settings, ..Tuned::default() };
        let svg = chart("<f>", &tuned);
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (4, 2));
        assert!(svg.contains("&lt;f&gt;") && svg.contains(">128 MB<") && svg.contains(">100.0 ms<"));
    }

    #[test]
    fn scales_end_above_what_they_show() {
        for (value, most) in [(100.0, 150.0), (0.21, 0.25), (9.9, 15.0), (0.0, 1.0)] {
            assert!((Scale::up_to([value].into_iter()).most - most).abs() < most * 1e-9, "{value}");
        }
    }
}
