use proptest::prelude::*;

use super::oracle::{NAMES, judge};
use super::*;

fn broken_at(offset: usize) -> Result<Control<'static>, ScanError> {
    Err(ScanError::NotJson { offset })
}

#[test]
fn control_fields_are_read_with_their_types_and_places() {
    let body = br#" {"model" : "m-1", "stream":true,"n":2,"max_tokens":-7,"req_key":"k","task_id":"7","stream_options":{"a":[]}} "#;
    let control = scan(body).unwrap();
    let model = control.model.unwrap();
    assert_eq!(model.value.as_text(), Some("m-1"));
    assert_eq!(&body[model.span], br#""m-1""#);
    assert_eq!(control.stream.unwrap().value.as_bool(), Some(true));
    assert_eq!(control.n.unwrap().value.as_integer(), Some(2));
    assert_eq!(control.max_tokens.unwrap().value.as_integer(), Some(-7));
    assert_eq!(control.req_key.unwrap().value.as_text(), Some("k"));
    assert_eq!(control.task_id.unwrap().value, "7");
    let options = control.stream_options.unwrap();
    assert_eq!(options.value, Value::Other);
    assert_eq!(&body[options.span], br#"{"a":[]}"#);
}

#[test]
fn a_text_without_escapes_is_borrowed_and_one_with_escapes_is_unescaped() {
    let plain = scan(br#"{"task_id":"7"}"#).unwrap().task_id.unwrap();
    assert!(matches!(plain.value, Cow::Borrowed("7")));
    let escaped = scan(br#"{"task_id":"\u0037\n\ud83d\ude00"}"#).unwrap().task_id.unwrap();
    assert_eq!(escaped.value, "7\n😀");
}

#[test]
fn only_the_top_level_counts() {
    let body = br#"{"a":{"task_id":1,"TASK_ID":2},"b":[{"task_id":3}],"task_id":"mine"}"#;
    assert_eq!(scan(body).unwrap().task_id.unwrap().value, "mine");
}

#[test]
fn a_wrong_type_is_kept_as_other_except_for_task_id() {
    for value in ["null", "1.5", "1e2", "-0", "9223372036854775808", "[1]", "{}"] {
        let body = format!(r#"{{"n":{value}}}"#);
        assert_eq!(scan(body.as_bytes()).unwrap().n.unwrap().value, Value::Other, "{value}");
        let body = format!(r#"{{"task_id":{value}}}"#);
        assert_eq!(
            scan(body.as_bytes()),
            Err(ScanError::NotAString { field: "task_id" }),
            "{value}"
        );
    }
}

#[test]
fn a_doubled_control_field_is_refused_even_with_equal_values() {
    for name in NAMES {
        let body = format!(r#"{{"{name}":"x","{name}":"x"}}"#);
        assert_eq!(scan(body.as_bytes()), Err(ScanError::Doubled { field: name }));
    }
    let escaped = br#"{"task_id":"mine","task\u005fid":"theirs"}"#;
    assert_eq!(scan(escaped), Err(ScanError::Doubled { field: "task_id" }));
    assert!(scan(br#"{"prompt":1,"prompt":2}"#).is_ok());
}

#[test]
fn an_escaped_name_is_the_field_itself() {
    assert_eq!(
        scan(br#"{"task\u005Fid":"mine"}"#).unwrap().task_id.unwrap().value,
        "mine"
    );
}

#[test]
fn another_spelling_is_refused_alone_and_beside_the_exact_one() {
    assert_eq!(
        scan(br#"{"task_id":"mine","TASK_ID":"theirs"}"#),
        Err(ScanError::Misspelt { field: "task_id" })
    );
    let spellings = [
        "Task_Id",
        "ta\u{17f}k_id",
        "tas\u{212a}_id",
        "task_\u{131}d",
        "task_\u{130}d",
        "\\u0054ask_id",
    ];
    for name in spellings {
        let body = format!(r#"{{"{name}":"theirs"}}"#);
        assert_eq!(
            scan(body.as_bytes()),
            Err(ScanError::Misspelt { field: "task_id" }),
            "{name}"
        );
    }
    assert_eq!(
        scan("{\"\u{fb06}ream\":true}".as_bytes()),
        Err(ScanError::Misspelt { field: "stream" })
    );
}

#[test]
fn a_nul_hides_neither_a_name_nor_a_value() {
    assert_eq!(
        scan(br#"{"task_id\u0000x":"theirs"}"#),
        Err(ScanError::Misspelt { field: "task_id" })
    );
    assert_eq!(
        scan(br#"{"task_id":"theirs\u0000x"}"#),
        Err(ScanError::Ambiguous { field: "task_id" })
    );
    assert_eq!(scan(b"{\"task_id\0\":\"theirs\"}"), broken_at(9));
}

#[test]
fn half_a_surrogate_pair_is_refused_only_where_it_would_be_compared() {
    assert_eq!(
        scan(br#"{"model":"\ud83d"}"#),
        Err(ScanError::Ambiguous { field: "model" })
    );
    assert_eq!(scan(br#"{"a":1,"task_id\ud83d":"x"}"#), broken_at(7));
    assert!(scan(br#"{"prompt":"cut in half \ud83d"}"#).is_ok());
}

#[test]
fn only_one_object_and_nothing_else_is_a_body() {
    for body in ["[1]", "\"a\"", " 1", "null", "true"] {
        assert_eq!(scan(body.as_bytes()), Err(ScanError::NotAnObject), "{body}");
    }
    for body in [
        "",
        "  ",
        "{",
        "{}{}",
        "{} x",
        "{}\0",
        "\u{feff}{}",
        "{'a':1}",
        "{a:1}",
        "/**/{}",
    ] {
        assert!(
            matches!(scan(body.as_bytes()), Err(ScanError::NotJson { .. })),
            "{body}"
        );
    }
}

#[test]
fn the_grammar_is_strict() {
    let values = [
        "",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "-",
        "0x1",
        "NaN",
        "tru",
        "nulll",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"b\":1,}",
        "{\"b\"}",
        "{1:2}",
        "[1}",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "\"open",
        "1 //",
        "'b'",
        "[\u{a0}]",
    ];
    for value in values {
        let body = format!("{{\"a\":{value}}}");
        assert!(
            matches!(scan(body.as_bytes()), Err(ScanError::NotJson { .. })),
            "{value}"
        );
    }
    assert_eq!(scan(b"{\"a\":\"\xff\"}"), broken_at(6));
    assert!(scan(b"{\"a\":[0,-0.5E+3,1e-9,{},[],\"\\/\\\"\\\\\"]\r\n\t}").is_ok());
}

#[test]
fn a_hundred_and_twenty_eight_levels_are_read_and_one_more_is_too_deep() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(scan(nested(128).as_bytes()).is_ok());
    assert_eq!(scan(nested(129).as_bytes()), Err(ScanError::TooDeep));
    assert_eq!(
        scan(format!("{{\"a\":{}", "[{\"b\":".repeat(1 << 20)).as_bytes()),
        Err(ScanError::TooDeep)
    );
}

/// A name as an attacker would write it: a control field with some letters escaped, in the other case, or look-alike.
fn name() -> impl Strategy<Value = String> {
    let control = (prop::sample::select(&NAMES[..]), prop::collection::vec(0..40_u8, 21));
    let mutated = control.prop_map(|(name, changes)| {
        let change = |(letter, change): (char, u8)| match (change, letter) {
            (0, _) => format!("\\u{:04x}", u32::from(letter)),
            (1, _) => letter.to_ascii_uppercase().to_string(),
            (2, 's') => "\u{17f}".to_owned(),
            (2, 'k') => "\\u212A".to_owned(),
            (2, 'i') => "\u{131}".to_owned(),
            (3, _) => format!("{letter}\\u0000"),
            (4, _) => format!("{letter}\\ud800"),
            (5, _) => String::new(),
            _ => letter.to_string(),
        };
        name.chars().zip(changes).map(change).collect()
    });
    prop_oneof![4 => mutated, 2 => text(), 1 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned)]
}

/// The inside of a string: mostly legal, sometimes not.
fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "é",
        "你",
        "😀",
        "\\n",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\u0000",
        "\\/",
        "x{[,:",
    ];
    let piece = prop_oneof![
        20 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => "[^\"\\\\]{0,80}",
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t")]
}

fn value() -> impl Strategy<Value = String> {
    let numbers = [
        "0",
        "-0",
        "1",
        "-17",
        "1.5",
        "1e400",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
    ];
    let leaf = prop_oneof![
        3 => text().prop_map(|text| format!("\"{text}\"")),
        1 => prop::sample::select(numbers.to_vec()).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let array = prop::collection::vec(inner.clone(), 0..3).prop_map(|values| format!("[{}]", values.join(",")));
        prop_oneof![array, object(inner)]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (space(), name(), space(), value, space())
        .prop_map(|(before, name, colon, value, after)| format!("{before}\"{name}\"{colon}:{after}{value}{colon}"));
    prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_last_wins_case_folding_parser_reads_what_the_scanner_reads(body in object(value())) {
        judge(body.as_bytes());
    }

    #[test]
    fn so_it_does_after_any_change_of_bytes(
        body in object(value()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut body = body.into_bytes();
        for (place, byte, kind) in changes {
            let at = place.index(body.len() + 1);
            match kind {
                0 => body.insert(at, byte),
                1 if at < body.len() => drop(body.remove(at)),
                _ => body.truncate(at),
            }
        }
        judge(&body);
    }

    #[test]
    fn so_it_does_around_the_deepest_nesting(levels in 120..136_usize, inner in value()) {
        judge(format!("{{\"a\":{}{inner}{},\"n\":1}}", "[".repeat(levels), "]".repeat(levels)).as_bytes());
    }
}
