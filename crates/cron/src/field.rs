//! A field of a cron expression: which of a range of numbers it names.

/// What a field may name.
pub(crate) struct Range {
    pub(crate) least: u16,
    pub(crate) most: u16,
    /// Names that stand for numbers, the first for `least`.
    pub(crate) names: &'static [&'static str],
}

pub(crate) const MINUTE: Range = Range { least: 0, most: 59, names: &[] };
pub(crate) const HOUR: Range = Range { least: 0, most: 23, names: &[] };
pub(crate) const DAY_OF_MONTH: Range = Range { least: 1, most: 31, names: &[] };
pub(crate) const MONTH: Range = Range {
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
pub(crate) const DAY_OF_WEEK: Range =
    Range { least: 1, most: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
pub(crate) const YEAR: Range = Range { least: 1970, most: 2199, names: &[] };

impl Range {
    /// The numbers of a list: `5`, `1-5`, `*`, each with a step behind a slash.
    pub(crate) fn list(&self, text: &str) -> Option<Vec<u16>> {
        let items: Option<Vec<Vec<u16>>> = text.split(',').map(|item| self.item(item)).collect();
        Some(items?.concat())
    }

    pub(crate) fn item(&self, text: &str) -> Option<Vec<u16>> {
        let (span, step) = match text.split_once('/') {
            Some((span, step)) => (span, Some(digits(step).filter(|step| (1..=self.most).contains(step))?)),
            None => (text, None),
        };
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => (self.least, self.most),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            // From there on, where there is a step.
            None => self.number(span).map(|one| (one, if step.is_some() { self.most } else { one }))?,
        };
        (first <= last).then(|| (first..=last).step_by(usize::from(step.unwrap_or(1))).collect())
    }

    pub(crate) fn number(&self, text: &str) -> Option<u16> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|at| u16::try_from(at).ok()).map(|at| self.least + at);
        named.or_else(|| digits(text)).filter(|number| (self.least..=self.most).contains(number))
    }
}

pub(crate) fn digits(text: &str) -> Option<u16> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}
