//! Whether a filter's pattern is one: the event pattern language as event source mappings take it. Pure.

use hearth_api::ApiError;
use hearth_pattern::Pattern;
use hearth_types::limits::MAPPING_PATTERN_CHARS;

use crate::invalid;

/// # Errors
/// With the text of the real service (observed), which does not tell the reason.
pub(super) fn check(pattern: Option<&str>) -> Result<(), ApiError> {
    let text = pattern.filter(|text| text.chars().count() <= MAPPING_PATTERN_CHARS);
    match text.map(Pattern::parse_mapping) {
        Some(Ok(_)) => Ok(()),
        _ => Err(invalid("Invalid filter pattern definition.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_language() {
        for pattern in [
            r#"{"body":{"my-key":["v"]}}"#,
            r#"{"body":{"n":[{"numeric":[">=",100,"<",200]}],"k":[null,"",1.5,true]}}"#,
            r#"{"body":{"k":[{"exists":false}]}}"#,
            r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"id":{"S":[{"prefix":"a"},{"suffix":"b"}]}}}}"#,
            r#"{"a":[{"anything-but":["x"]},{"anything-but":[1]},{"anything-but":{"prefix":"p"}},{"equals-ignore-case":"X"}]}"#,
            r#"{"$or":[{"a":["x"]},{"b":["y"]}]}"#,
        ] {
            assert!(check(Some(pattern)).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for pattern in [
            "simple string",
            "",
            "{}",
            "[]",
            "null",
            r#"[{"eventName":["INSERT"]}]"#,
            r#"{"eventName":"INSERT"}"#,
            r#"{"eventName":[]}"#,
            r#"{"eventName":["INSERT"=123}"#,
            r#"{"a":[["x"]]}"#,
            r#"{"a":[{"wildcard":"x*"}]}"#,
            r#"{"a":[{"numeric":["<",1,">",2]}]}"#,
            r#"{"a":[{"numeric":[">",2,"<",1]}]}"#,
            r#"{"a":[{"exists":"yes"}]}"#,
            r#"{"a":[{"prefix":"x","suffix":"y"}]}"#,
            r#"{"$or":[{"a":["x"]}]}"#,
        ] {
            assert!(check(Some(pattern)).is_err(), "{pattern}");
        }
        assert!(check(None).is_err());
        let deep = format!("{}[1]{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
        assert!(check(Some(&deep)).is_err());
        let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(MAPPING_PATTERN_CHARS));
        assert!(check(Some(&long)).is_err());
    }
}
