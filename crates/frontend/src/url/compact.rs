//! JSON without the white space between its parts.

/// The same JSON text, shorter. Numbers and strings stay as the function wrote them.
pub(super) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_white_space_between_parts_goes() {
        assert_eq!(
            compact(" {\"a b\" : [ 1.50 ,\n\t\"x \\\" y\\\\\" , null ] }\r\n"),
            r#"{"a b":[1.50,"x \" y\\",null]}"#
        );
        assert_eq!(compact("3.1"), "3.1");
    }

    proptest! {
        #[test]
        fn what_it_says_stays(texts in proptest::collection::vec(any::<String>(), 0..6)) {
            let value = Value::from(texts);
            let shortened = compact(&serde_json::to_string_pretty(&value).unwrap());
            prop_assert_eq!(shortened, serde_json::to_string(&value).unwrap());
        }
    }
}
