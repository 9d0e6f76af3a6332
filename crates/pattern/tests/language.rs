//! The language by examples: what matches, and with which reason a pattern is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use hearth_pattern::Pattern;
use serde_json::Value;

fn matches(pattern: &str, event: &str) -> bool {
    let event: Value = serde_json::from_str(event).expect("JSON");
    Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(&event)
}

#[test]
fn single_alternatives() {
    for (alternative, fits, does_not) in [
        (
            r#""a""#,
            &[r#""a""#, r#"["b","a"]"#, r#"["b",["a"]]"#][..],
            &[r#""A""#, r#"["b"]"#, "[]", r#"{"a":"a"}"#][..],
        ),
        (r#""""#, &[r#""""#], &["null", r#"" ""#]),
        ("null", &["null", "[1,null]"], &[r#""""#, "false", "0", "[]", "{}", r#""null""#]),
        ("true", &["true"], &["false", "1", r#""true""#]),
        ("300", &["300", "300.0", "3.0e2", "[1,300]"], &["301", r#""300""#]),
        ("123456789012", &["123456789012"], &["123456789013", r#""123456789012""#]),
        (r#"{"exists":true}"#, &["null", "0", r#""""#, "[[1]]"], &["[]", "{}", r#"{"k":1}"#]),
        (r#"{"exists":false}"#, &["[]", "{}", r#"{"k":1}"#], &["null", "0"]),
        (r#"{"prefix":"us-"}"#, &[r#""us-""#, r#""us-east-1""#], &[r#""US-""#, r#""u""#, "5"]),
        (r#"{"prefix":""}"#, &[r#""""#, r#""x""#], &["1", "null"]),
        (r#"{"suffix":".png"}"#, &[r#""a.png""#], &[r#""a.PNG""#, r#""png""#]),
        (r#"{"prefix":{"equals-ignore-case":"AbÄ"}}"#, &[r#""aBäc""#], &[r#""ab""#, r#""xabä""#]),
        (r#"{"suffix":{"equals-ignore-case":".PnG"}}"#, &[r#""a.pNg""#], &[r#""a.pngx""#, r#""ng""#]),
        (r#"{"equals-ignore-case":"Alice"}"#, &[r#""ALICE""#, r#""alice""#], &[r#""alice ""#, r#""alic""#]),
        (r#"{"anything-but":"a"}"#, &[r#""b""#, "1", "null", r#"["a","b"]"#], &[r#""a""#, "[]", "{}", r#"["a"]"#]),
        (r#"{"anything-but":["a","b"]}"#, &[r#""c""#, "true"], &[r#""a""#, r#""b""#]),
        (r#"{"anything-but":[1,2.5]}"#, &["3", r#""1""#], &["1.0", "25e-1"]),
        (r#"{"anything-but":{"prefix":"a"}}"#, &[r#""b""#, "1"], &[r#""ab""#]),
        (r#"{"anything-but":{"prefix":["a","b"]}}"#, &[r#""c""#], &[r#""ab""#, r#""ba""#]),
        (r#"{"anything-but":{"suffix":["a","b"]}}"#, &[r#""c""#], &[r#""ab""#, r#""ba""#]),
        (r#"{"anything-but":{"equals-ignore-case":["A","b"]}}"#, &[r#""ab""#], &[r#""a""#, r#""B""#]),
        (r#"{"anything-but":{"wildcard":["*/lib/*"]}}"#, &[r#""/usr/x""#], &[r#""/usr/lib/x""#]),
        (r#"{"numeric":["=",5]}"#, &["5", "5.0", "50e-1"], &["5.000001", r#""5""#]),
        (r#"{"numeric":["<",0]}"#, &["-1"], &["0", "null"]),
        (r#"{"numeric":[">=",100,"<",200]}"#, &["100", "199.999999"], &["200", "99.9", "6e9", "1e300"]),
        (r#"{"numeric":[">",-5e9,"<=",5e9]}"#, &["5000000000", "0"], &["-5000000000", "5000000001"]),
        (r#"{"cidr":"10.0.0.0/24"}"#, &[r#""10.0.0.255""#], &[r#""10.0.1.0""#, r#""10.0.0.0/24""#, "10"]),
        (r#"{"wildcard":"dir/*.png"}"#, &[r#""dir/a.png""#], &[r#""dir/a.jpg""#, "1"]),
        (r#"{"wildcard":"a\\*b"}"#, &[r#""a*b""#], &[r#""axb""#]),
    ] {
        let pattern = format!(r#"{{"k":[{alternative}]}}"#);
        for value in fits {
            assert!(matches(&pattern, &format!(r#"{{"k":{value}}}"#)), "{pattern} fits {value}");
        }
        for value in does_not {
            assert!(!matches(&pattern, &format!(r#"{{"k":{value}}}"#)), "{pattern} does not fit {value}");
        }
        let absent = alternative == r#"{"exists":false}"#;
        assert_eq!(matches(&pattern, r#"{"other":1}"#), absent, "{pattern} of nothing");
    }
}

#[test]
fn all_keys_and_any_alternative() {
    let pattern = r#"{"a":["x","y"],"b":{"c":[{"numeric":[">",1]}, null]}}"#;
    assert!(matches(pattern, r#"{"a":"y","b":{"c":2},"more":1}"#));
    assert!(matches(pattern, r#"{"a":"x","b":{"c":null}}"#));
    assert!(!matches(pattern, r#"{"a":"x"}"#) && !matches(pattern, r#"{"a":"z","b":{"c":2}}"#));
}

#[test]
fn one_element_has_to_have_it_all() {
    let pattern = r#"{"people":{"name":["Ann"],"age":[7]}}"#;
    assert!(matches(pattern, r#"{"people":[{"name":"Bob","age":8},{"name":"Ann","age":7}]}"#));
    assert!(!matches(pattern, r#"{"people":[{"name":"Ann","age":8},{"name":"Bob","age":7}]}"#));
    let split = r#"{"people":{"name":["Ann"]},"$or":[{"people":{"age":[7]}},{"z":[1]}]}"#;
    assert!(!matches(split, r#"{"people":[{"name":"Ann","age":8},{"name":"Bob","age":7}]}"#));
    assert!(matches(split, r#"{"people":[{"name":"Ann","age":8}],"z":1}"#));
}

#[test]
fn what_is_absent_is_so_everywhere() {
    let pattern = r#"{"a":{"b":[{"exists":false}]}}"#;
    assert!(matches(pattern, "{}") && matches(pattern, r#"{"a":1}"#) && matches(pattern, r#"{"a":[{"c":1}]}"#));
    assert!(!matches(pattern, r#"{"a":[{"c":1},{"b":1}]}"#));
    let either = r#"{"a":[{"exists":false},"x"],"k":[1]}"#;
    assert!(matches(either, r#"{"k":1}"#) && matches(either, r#"{"k":1,"a":"x"}"#));
    assert!(!matches(either, r#"{"k":1,"a":"y"}"#) && !matches(either, "{}"));
}

#[test]
fn or_of_keys() {
    let pattern = r#"{"s":["x"],"$or":[{"a":[1]},{"b":[{"exists":true}],"c":[2]}]}"#;
    assert!(matches(pattern, r#"{"s":"x","a":1}"#) && matches(pattern, r#"{"s":"x","b":0,"c":2}"#));
    assert!(!matches(pattern, r#"{"s":"x","b":0}"#) && !matches(pattern, r#"{"a":1}"#));
    let nested = r#"{"d":{"$or":[{"a":[1]},{"$or":[{"b":[1]},{"c":[1]}]}]}}"#;
    assert!(matches(nested, r#"{"d":{"c":1}}"#) && !matches(nested, r#"{"c":1}"#));
    let a_key = r#"{"$or":["x"]}"#;
    assert!(matches(a_key, r#"{"$or":"x"}"#));
    let operators = r#"{"$or":[{"prefix":"x"},{"suffix":"y"}]}"#;
    assert!(matches(operators, r#"{"$or":"xa"}"#) && !matches(operators, r#"{"$or":"z"}"#));
}

#[test]
fn hostile_patterns_are_bounded() {
    let branch = |key: usize| format!(r#"{{"k{key}":[1]}}"#);
    let ten = |from: usize| (from..from + 10).map(branch).collect::<Vec<_>>().join(",");
    let pattern = |count: usize| {
        let all = (0..count).map(|n| format!(r#""p{n}":{{"$or":[{}]}}"#, ten(n * 10))).collect::<Vec<_>>();
        format!("{{{}}}", all.join(","))
    };
    assert!(Pattern::parse(&pattern(3)).is_ok(), "1000 combinations");
    assert!(Pattern::parse(&pattern(4)).is_err());
    assert!(Pattern::parse(&pattern(200)).is_err());
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
    assert!(Pattern::parse(&deep).is_err());
}

#[test]
fn reasons() {
    for (pattern, reason) in [
        ("[]", "Filter is not an object"),
        (r#""text""#, "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        (r#"{"a":{}}"#, "Empty objects are not allowed"),
        (r#"{"a":"x"}"#, "\"a\" must be an object or an array"),
        (r#"{"a":[]}"#, "Empty arrays are not allowed"),
        (r#"{"a":[["x"]]}"#, "Match value must be String, number, true, false, or null"),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "Only one key allowed in match expression"),
        (r#"{"a":[{}]}"#, "Empty objects are not allowed"),
        (r#"{"a":[{"like":"x"}]}"#, "Unrecognized match type like"),
        (r#"{"$or":[{"a":["x"]}]}"#, "Unrecognized match type a"),
        (r#"{"a":[{"prefix":1}]}"#, "prefix match pattern must be a string"),
        (r#"{"a":[{"suffix":null}]}"#, "suffix match pattern must be a string"),
        (r#"{"a":[{"equals-ignore-case":["x"]}]}"#, "equals-ignore-case match pattern must be a string"),
        (r#"{"a":[{"wildcard":1}]}"#, "wildcard match pattern must be a string"),
        (r#"{"a":[{"wildcard":"**"}]}"#, "Consecutive wildcard characters at pos 0"),
        (r#"{"a":[{"exists":"yes"}]}"#, "exists match pattern must be either true or false."),
        (r#"{"a":[{"numeric":5}]}"#, "Value of numeric must be an array."),
        (r#"{"a":[{"numeric":[]}]}"#, "Invalid member in numeric match: ]"),
        (r#"{"a":[{"numeric":[5]}]}"#, "Invalid member in numeric match: 5"),
        (r#"{"a":[{"numeric":["!=",5]}]}"#, "Unrecognized numeric range operator: !="),
        (r#"{"a":[{"numeric":["=","5"]}]}"#, "Value of equals must be numeric"),
        (r#"{"a":[{"numeric":["<","5"]}]}"#, "Value of < must be numeric"),
        (r#"{"a":[{"numeric":["<",1,">",2]}]}"#, "Too many terms in numeric range expression"),
        (r#"{"a":[{"numeric":[">",1,">",2]}]}"#, "Bad numeric range operator: >"),
        (r#"{"a":[{"numeric":[">",2,"<",1]}]}"#, "Bottom must be less than top"),
        (r#"{"a":[{"numeric":[">",6e9]}]}"#, "Value must be between -5.0E9 and 5.0E9, inclusive"),
        (r#"{"a":[{"anything-but":null}]}"#, "Value of anything-but must be an array or single string/number value."),
        (r#"{"a":[{"anything-but":[]}]}"#, "Empty arrays are not allowed"),
        (r#"{"a":[{"anything-but":[true]}]}"#, "Inside anything but list, start|null|boolean is not supported."),
        (
            r#"{"a":[{"anything-but":["x",1]}]}"#,
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        ),
        (r#"{"a":[{"anything-but":{"prefix":""}}]}"#, "Null prefix not allowed"),
        (r#"{"a":[{"anything-but":{"exists":true}}]}"#, "Unsupported anything-but pattern: exists"),
        (r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "Malformed CIDR, one '/' required"),
        (r#"{"a":[1],"$or":[{"a":[2]},{"b":[1]}]}"#, "Path cannot be allowed multiple times"),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap_err().to_string(), reason, "{pattern}");
    }
    assert!(Pattern::parse("{").unwrap_err().to_string().starts_with("The text is not JSON: "));
    for pattern in
        [r#"{"a":[{"wildcard":"x*"}]}"#, r#"{"a":[{"anything-but":{"wildcard":"x"}}]}"#, r#"{"a":[{"cidr":"::/0"}]}"#]
    {
        assert!(Pattern::parse(pattern).is_ok() && Pattern::parse_mapping(pattern).is_err(), "{pattern}");
    }
}
