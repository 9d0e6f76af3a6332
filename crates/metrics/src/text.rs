//! Prometheus' text format, version 0.0.4.

use std::fmt::Write as _;

use crate::Histogram;

/// What kind of number a family is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Grows, until the server starts again.
    Counter,
    /// Is what it is now.
    Gauge,
    /// Counts by bounds.
    Histogram,
}

/// What is written.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a family of samples; all of its samples follow at once.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Text can always be written to.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.line(name, labels, value);
    }

    /// A sample that is a whole number.
    pub fn number(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.line(name, labels, value);
    }

    /// All samples of a histogram.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let (bounds, count) = histogram.read();
        let bucket = format!("{name}_bucket");
        let bounds = bounds.into_iter().map(|(bound_s, within)| (bound_s.to_string(), within));
        for (bound, within) in bounds.chain([("+Inf".to_owned(), count)]) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line(&bucket, &labels, within);
        }
        self.line(&format!("{name}_sum"), labels, histogram.sum_s());
        self.line(&format!("{name}_count"), labels, count);
    }

    /// The whole of it.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (n, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if n == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn writes_families_samples_and_histograms() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "One.\nTwo \\.");
        text.number("a_total", &[], 7);
        text.number("a_total", &[("x", "a\"b\\c\nd"), ("y", "")], 8);
        text.family("h", Kind::Histogram, "H.");
        let histogram = Histogram::new(&[500]);
        histogram.add(Duration::from_millis(250));
        histogram.add(Duration::from_secs(2));
        text.histogram("h", &[("x", "1")], &histogram);
        assert_eq!(
            text.finish(),
            "# HELP a_total One.\\nTwo \\\\.\n# TYPE a_total counter\na_total 7\n\
             a_total{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 8\n# HELP h H.\n# TYPE h histogram\n\
             h_bucket{x=\"1\",le=\"0.5\"} 1\nh_bucket{x=\"1\",le=\"+Inf\"} 2\nh_sum{x=\"1\"} 2.25\nh_count{x=\"1\"} 2\n"
        );
    }
}
