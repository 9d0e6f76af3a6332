use super::*;

fn fits(pattern: &str, message: &str) -> bool {
    Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(message.as_bytes())
}

fn assert_fits(pattern: &str, yes: &[&str], no: &[&str]) {
    for message in yes {
        assert!(fits(pattern, message), "{pattern} should match {message}");
    }
    for message in no {
        assert!(!fits(pattern, message), "{pattern} should not match {message}");
    }
}

#[test]
fn terms() {
    assert_fits("", &["", "anything"], &[]);
    assert_fits("ERROR", &["[ERROR] x", "ERROR"], &["error", "ERR"]);
    assert_fits("ERROR time", &["ERROR at this time"], &["ERROR", "time"]);
    assert_fits("\"time out\"", &["a time out"], &["time, out"]);
    assert_fits(r#""say \"a\" \\ b""#, &[r#"say "a" \ b"#], &["say a"]);
    assert_fits("?ERROR ?WARN", &["ERROR", "a WARN"], &["INFO"]);
    assert_fits("ERROR -Exiting -\"at once\"", &["ERROR"], &["ERROR Exiting", "ERROR at once", "INFO"]);
    assert_fits("-debug", &["x"], &["a debug line"]);
    // Beside other terms question marks do nothing.
    assert_fits("?ERROR INFO", &["INFO", "INFO ERROR"], &["ERROR"]);
    assert_fits(r"%5\d\d% ", &["status 503"], &["status 53"]);
    assert_fits("-%^a%", &["ba"], &["ab"]);
}

#[test]
fn json() {
    let message =
        r#"{"level":"ERROR","ms":120.5,"ok":true,"no":null,"a":{"b":[{"c":1},{"c":"x"}]},"ip":"10.0.3.4","a b":1}"#;
    for pattern in [
        r#"{ $.level = "ERROR" }"#,
        "{ $.level = ERROR }",
        "{$.level=ERR*}",
        "{ $.level != \"INFO\" }",
        "{ $.ms > 100 && $.ms <= 120.5 }",
        "{ $.ms = 120.5 }",
        "{ $.ms != 120 }",
        "{ $.level = INFO || ($.ms >= 1.2e2 && $.ok IS TRUE) }",
        "{ $.no IS NULL }",
        "{ $.x NOT EXISTS }",
        "{ $.a.b[0].c = 1 }",
        "{ $.a.b[1].c = \"x\" }",
        "{ $.a.b[*].c = x }",
        "{ $.ip = 10.0.* }",
        "{ $.ip = %^10\\.0\\.\\d% }",
        "{ $['a b'] = 1 }",
        "{ $.['a b'] < 2 }",
    ] {
        assert!(fits(pattern, message), "{pattern}");
        assert!(!fits(pattern, "no JSON"), "{pattern}");
    }
    for pattern in [
        "{ $.level = INFO }",
        "{ $.level > 1 }",
        "{ $.ms > 120.5 }",
        "{ $.missing != 1 }",
        "{ $.ok IS FALSE }",
        "{ $.level IS NULL }",
        "{ $.missing IS NULL }",
        "{ $.no NOT EXISTS }",
        "{ $.a.b[2].c = 1 }",
        "{ $.a = x }",
        "{ $.level = ERROR && $.ms < 1 || $.ok IS FALSE }",
    ] {
        assert!(!fits(pattern, message), "{pattern}");
    }
}

#[test]
fn columns() {
    let message = "127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] \"GET /a HTTP/1.0\" 404 1534";
    for pattern in [
        "[ip, id, user, time, request, status, bytes]",
        "[ip, id, user, time, request, status = 4*, bytes > 1000]",
        "[..., status = 404, bytes]",
        "[ip = 127.*, ...]",
        "[ip, ..., bytes]",
        "[..., request = *a*, status != 5* && status > 400, bytes]",
        "[..., status = 3* || status = 4*, bytes]",
        "[ip, id, user = \"frank\", ...]",
    ] {
        assert!(fits(pattern, message), "{pattern}");
    }
    for pattern in ["[ip]", "[..., status = 5*, bytes]", "[a, b, c, d, e, f, g, h]", "[a, b, c, d, e, f, g, ..., h]"] {
        assert!(!fits(pattern, message), "{pattern}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_named() {
    for (pattern, why) in [
        ("RequestId:", "Invalid character(s) in term 'RequestId:'"),
        ("a -", "Invalid character(s) in term ''"),
        ("\"open", "no closing \""),
        ("%open", "no closing %"),
        ("%(a)%", "groups"),
        (r"%\bword%", r"\b"),
        ("%[%", "cannot be read"),
        ("{ $.a }", "an operator is missing"),
        ("{ $.a = 1", "} is missing at its end"),
        ("{ $.a = 1 } x", "should end"),
        ("{ a = 1 }", "$ is missing"),
        ("{ $ = 1 }", "a name is missing"),
        ("{ $.a[x] = 1 }", "an index is missing"),
        ("{ $.a > x }", "numbers only"),
        ("{ $.a > %1% }", "numbers only"),
        ("{ $.a IS 1 }", "NULL, TRUE or FALSE"),
        ("{ $.a NOT 1 }", "EXISTS is missing"),
        ("{ $.a = }", "a value is missing"),
        ("[a", "an operator is missing"),
        ("[a = 1", ", is missing"),
        ("[..., a, ...]", "second ellipsis"),
        ("[a = 1 && b = 2]", "b stands in the column a"),
    ] {
        let error = Pattern::parse(pattern).unwrap_err().0;
        assert!(error.contains(why), "{pattern}: {error}");
    }
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(400), ")".repeat(400));
    assert!(Pattern::parse(&deep).unwrap_err().0.contains("too deep"));
}

proptest::proptest! {
    /// Clients write patterns, functions write messages: neither may bring the reader down.
    #[test]
    fn nothing_panics(
        pattern in r#"[{\[]?[ $.a-cé\[\]()=!<>&|"'%\\*?,0-9-]{0,40}[}\]]?"#,
        message in r#"[{\["]?[ a-cé:,"\[\]{}0-9]{0,40}"#,
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let _ = pattern.matches(message.as_bytes());
        }
    }

    #[test]
    fn a_quoted_phrase_is_found_as_it_is(phrase in "\\PC{1,20}", around in "\\PC{0,10}") {
        let quoted = format!("\"{}\"", phrase.replace('\\', "\\\\").replace('"', "\\\""));
        let message = [around.as_str(), &phrase, &around].concat();
        proptest::prop_assert!(fits(&quoted, &message));
        proptest::prop_assert_eq!(fits(&format!("-{quoted}"), &around), !around.contains(&phrase));
    }
}
