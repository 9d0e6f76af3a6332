//! Tables for people: columns as wide as their widest cell.

/// How a column stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A line for the heads and one for each row.
pub(crate) fn table(heads: &[(&str, Align)], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].0.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heads.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(heads.iter().zip(&widths)).map(|(cell, ((_, align), width))| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(&mut heads.iter().map(|(head, _)| *head));
    std::iter::once(head).chain(rows.iter().map(|row| line(&mut row.iter().map(String::as_str)))).collect()
}

/// An amount of money, as fine as small ones need it.
pub(crate) fn money(amount: f64) -> String {
    match amount {
        0.0 => "0".to_owned(),
        _ if amount < 0.000_001 => format!("{amount:.12}"),
        _ if amount < 0.01 => format!("{amount:.9}"),
        _ => format!("{amount:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_need_be() {
        let heads = [("NAME", Align::Left), ("N", Align::Right)];
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["longer".to_owned(), "7".to_owned()]];
        assert_eq!(table(&heads, &rows), ["NAME     N", "a       10", "longer   7"]);
    }

    #[test]
    fn small_amounts_show_something() {
        assert_eq!(money(0.000_000_002_1), "0.000000002100");
        assert_eq!((money(0.0), money(0.004), money(12.5)), ("0".into(), "0.004000000".into(), "12.5000".into()));
    }
}
