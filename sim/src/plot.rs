//! Runs as a picture: how many cold starts a policy leaves for the memory it has.

use std::fmt::Write as _;

use crate::compare::Run;

/// Pixels.
const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 470.0;
const PANEL: (f64, f64) = (400.0, 300.0);
const TOP: f64 = 70.0;
const LEFTS: [f64; 2] = [80.0, 590.0];

/// Apart for those who see colours differently too (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const MARKS_ON_AN_AXIS: f64 = 5.0;

/// What a run is placed by, and what the axis says of it.
type Axis = (&'static str, fn(&Run) -> f64);

/// A point of one policy.
struct Point {
    x: f64,
    y: f64,
}

/// A panel's axes.
struct Axes {
    title: &'static str,
    left: f64,
    most_x: f64,
    most_y: f64,
}

impl Axes {
    fn x(&self, x: f64) -> f64 {
        self.left + x / self.most_x * PANEL.0
    }

    fn y(&self, y: f64) -> f64 {
        TOP + PANEL.1 - y / self.most_y * PANEL.1
    }
}

/// Two panels: cold starts by the memory that there is, and by the memory that was held and not used.
#[must_use]
pub fn svg(title: &str, runs: &[Run]) -> String {
    let mut policies: Vec<String> = Vec::new();
    for name in runs.iter().map(|run| run.policy.name()) {
        if !policies.contains(&name) {
            policies.push(name);
        }
    }
    let mut text = String::new();
    // Writing to a string never fails.
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"28\" font-size=\"16\">{}</text>\n",
        LEFTS[0],
        escaped(title)
    );
    let panels: [Axis; 2] = [
        ("GB of memory that there is", |run| run.machine.memory_mb() as f64 / 1024.0),
        ("thousands of GB-seconds held idle", |run| run.figures.idle_gb_s() / 1000.0),
    ];
    for (left, (name, x)) in LEFTS.into_iter().zip(panels) {
        panel(&mut text, left, name, &policies, runs, x);
    }
    legend(&mut text, &policies);
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, left: f64, title: &'static str, policies: &[String], runs: &[Run], x: fn(&Run) -> f64) {
    let y = |run: &Run| run.figures.cold_rate() * 100.0;
    let most = |of: &dyn Fn(&Run) -> f64| round_up(runs.iter().map(of).fold(0.0, f64::max));
    let axes = Axes { title, left, most_x: most(&x), most_y: most(&y) };
    frame(text, &axes);
    for (index, policy) in policies.iter().enumerate() {
        let own = runs.iter().filter(|run| run.policy.name() == *policy);
        let mut points: Vec<Point> = own.map(|run| Point { x: x(run), y: y(run) }).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        line(text, &axes, COLOURS[index % COLOURS.len()], &points);
    }
}

fn frame(text: &mut String, axes: &Axes) {
    let (left, bottom, right) = (axes.left, TOP + PANEL.1, axes.left + PANEL.0);
    let _ = writeln!(text, "<path d=\"M{left} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#444\"/>");
    for mark in 0..=MARKS_ON_AN_AXIS as u32 {
        let share = f64::from(mark) / MARKS_ON_AN_AXIS;
        let (x, y) = (axes.x(axes.most_x * share), axes.y(axes.most_y * share));
        let _ = writeln!(
            text,
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} %</text>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            left - 8.0,
            y + 4.0,
            short(axes.most_y * share),
            bottom + 20.0,
            short(axes.most_x * share),
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{}\">invokes with a cold start</text>\n\
         <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        TOP - 14.0,
        left + PANEL.0 / 2.0,
        bottom + 42.0,
        axes.title
    );
}

fn line(text: &mut String, axes: &Axes, colour: &str, points: &[Point]) {
    let at: Vec<String> = points.iter().map(|p| format!("{:.1},{:.1}", axes.x(p.x), axes.y(p.y))).collect();
    let _ =
        writeln!(text, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", at.join(" "));
    for point in points {
        let (x, y) = (axes.x(point.x), axes.y(point.y));
        let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
    }
}

fn legend(text: &mut String, policies: &[String]) {
    let y = HEIGHT - 22.0;
    let mut x = LEFTS[0];
    for (index, policy) in policies.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"14\" fill=\"{colour}\"/>\n<text x=\"{}\" y=\"{y}\">{}</text>",
            y - 12.0,
            x + 20.0,
            escaped(policy)
        );
        x += 40.0 + 8.0 * policy.len() as f64;
    }
}

/// The next of 1, 2, 2.5, 5 and 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|rounded| *rounded >= value).unwrap_or(value)
}

/// A number without needless zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, rounded) in [(0.0, 1.0), (0.3, 0.5), (1.0, 1.0), (7.0, 10.0), (23.0, 25.0), (180.0, 200.0)] {
            assert!((round_up(value) - rounded).abs() < 1e-9, "{value} became {}", round_up(value));
        }
        assert_eq!((short(2.5), short(0.0), short(100.0)), ("2.5".to_owned(), "0".to_owned(), "100".to_owned()));
    }
}
