//! Texts with wildcards and variables.

use super::Context;

/// `*`, `?` and `${key}` where they mean something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    /// Whether letters match whatever their case.
    folds: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Char(char),
    /// `*`
    Any,
    /// `?`
    One,
    /// `${key, 'default'}`; the key in lower case.
    Variable(String, Option<String>),
}

/// What stands for more than itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Syntax {
    pub(super) wildcards: bool,
    /// Documents of version 2012-10-17 only.
    pub(super) variables: bool,
    pub(super) folds: bool,
}

/// A `${` without its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unfinished;

/// A variable has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unresolved;

impl Pattern {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Self, Unfinished> {
        let mut parts = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(inside) = rest.strip_prefix("${").filter(|_| syntax.variables) {
                let (variable, after) = inside.split_once('}').ok_or(Unfinished)?;
                parts.push(part_of_variable(variable));
                rest = after;
                continue;
            }
            parts.push(match first {
                '*' if syntax.wildcards => Part::Any,
                '?' if syntax.wildcards => Part::One,
                other => Part::Char(other),
            });
            rest = &rest[first.len_utf8()..];
        }
        Ok(Self::of(parts, syntax.folds))
    }

    pub(super) fn of(parts: Vec<Part>, folds: bool) -> Self {
        let fold = |part| match part {
            Part::Char(c) if folds => Part::Char(c.to_ascii_lowercase()),
            other => other,
        };
        Self { parts: parts.into_iter().map(fold).collect(), folds }
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn matches(&self, text: &str, context: &Context) -> Result<bool, Unresolved> {
        let text: Vec<char> = text.chars().map(|c| if self.folds { c.to_ascii_lowercase() } else { c }).collect();
        if !self.parts.iter().any(|part| matches!(part, Part::Variable(..))) {
            return Ok(fits(&self.parts, &text));
        }
        Ok(fits(&self.resolved(context)?, &text))
    }

    /// Variables become the characters of their values, which are nothing but themselves.
    fn resolved(&self, context: &Context) -> Result<Vec<Part>, Unresolved> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Variable(key, default) => {
                    let value = context.variable(key).or(default.as_deref()).ok_or(Unresolved)?;
                    let fold = |c: char| Part::Char(if self.folds { c.to_ascii_lowercase() } else { c });
                    parts.extend(value.chars().map(fold));
                }
                other => parts.push(other.clone()),
            }
        }
        Ok(parts)
    }
}

fn part_of_variable(text: &str) -> Part {
    match text {
        "*" | "?" | "$" => Part::Char(text.chars().next().unwrap_or('*')),
        _ => {
            let (key, default) = text.split_once(',').map_or((text, None), |(key, rest)| (key, Some(rest)));
            let default = default.and_then(|rest| rest.trim().strip_prefix('\'')?.strip_suffix('\''));
            Part::Variable(key.trim().to_ascii_lowercase(), default.map(str::to_owned))
        }
    }
}

/// Goes back to the last `*` only: an earlier one could match no more than that one can. At most the product of the two
/// lengths in steps.
fn fits(parts: &[Part], text: &[char]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut last_any: Option<(usize, usize)> = None;
    loop {
        let is_match = match (parts.get(part), text.get(at)) {
            (None, None) => return true,
            (Some(Part::Any), _) => {
                last_any = Some((part, at));
                part += 1;
                continue;
            }
            (Some(Part::One), Some(_)) => true,
            (Some(Part::Char(wanted)), Some(found)) => wanted == found,
            _ => false,
        };
        if is_match {
            part += 1;
            at += 1;
        } else {
            let Some((any, from)) = last_any.filter(|(_, from)| *from < text.len()) else { return false };
            last_any = Some((any, from + 1));
            part = any + 1;
            at = from + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true, folds: false };

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern, ALL).unwrap().matches(text, &Context::default()).unwrap()
    }

    #[test]
    fn wildcards_stand_for_texts() {
        for (pattern, text) in
            [("*", ""), ("a*c", "abbc"), ("a*b*c", "aXbbYc"), ("?b", "äb"), ("**", "x"), ("a*", "a"), ("*a*a", "aaa")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*c", "ab"), ("?", ""), ("a?", "a"), ("", "a"), ("a", ""), ("*a", "ab")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_long_text_against_many_wildcards_ends() {
        assert!(!matches(&"a*".repeat(200), &format!("{}b", "a".repeat(20_000)).replace('b', "")[..100]));
        assert!(!matches(&format!("{}c", "a*".repeat(200)), &"a".repeat(20_000)));
    }

    #[test]
    fn variables_are_literal_values() {
        let context = Context::default().with("aws:UserName", "a*");
        let pattern = Pattern::parse("${aws:username}/${*}x${$}{", ALL).unwrap();
        assert_eq!(pattern.matches("a*/*x${", &context), Ok(true));
        assert_eq!(pattern.matches("ab/*x${", &context), Ok(false));
        assert_eq!(pattern.matches("a", &Context::default()), Err(Unresolved));
        let with_default = Pattern::parse("${aws:PrincipalTag/team, 'none'}", ALL).unwrap();
        assert_eq!(with_default.matches("none", &Context::default()), Ok(true));
        assert_eq!(Pattern::parse("${x", ALL), Err(Unfinished));
        let old = Syntax { variables: false, ..ALL };
        assert_eq!(Pattern::parse("${x}", old).unwrap().matches("${x}", &Context::default()), Ok(true));
    }
}
