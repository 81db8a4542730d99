use proptest::prelude::*;
use serde_json::json;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=frontier";

/// A part as `name; filename` and its content.
fn body(parts: &[(&str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(format!("--frontier\r\nContent-Disposition: form-data; {name}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    body.into()
}

fn read(parts: &[(&str, &[u8])]) -> Result<Form, FormError> {
    Form::read(TYPE, body(parts))
}

#[test]
fn texts_and_files_are_told_apart_by_the_file_name() {
    let form = read(&[
        (r#"name="prompt""#, "黄昏的灯塔".as_bytes()),
        (r#"name="seconds""#, b"8"),
        (
            r#"name="input_reference"; filename="a.png""#,
            b"\x89PNG\r\n--front\r\n\0",
        ),
    ])
    .unwrap();
    assert_eq!(
        Value::Object(form.fields),
        json!({"prompt": "黄昏的灯塔", "seconds": "8"})
    );
    assert_eq!(form.files["input_reference"], b"\x89PNG\r\n--front\r\n\0".as_slice());
}

#[test]
fn members_in_brackets_become_an_object_again() {
    let form = read(&[
        (r#"name="input_reference[image_url]""#, b"https://example.com/a.png"),
        (r#"name="input_reference[file_id]""#, b"f"),
        (r#"name="list[]""#, b"1"),
        (r#"name="a[b][c]""#, b"2"),
    ])
    .unwrap();
    let read = json!({
        "input_reference": {"image_url": "https://example.com/a.png", "file_id": "f"}, "list[]": "1", "a[b][c]": "2",
    });
    assert_eq!(Value::Object(form.fields), read);
}

#[test]
fn an_empty_form_has_no_parts() {
    assert_eq!(read(&[]), Ok(Form::default()));
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    for (parts, name) in [
        ([r#"name="n""#, r#"name="n""#], "n"),
        ([r#"name="n"; filename="a""#, r#"name="n"; filename="b""#], "n"),
        ([r#"name="n""#, r#"name="n"; filename="b""#], "n"),
        ([r#"name="n""#, r#"name="n[m]""#], "n"),
        ([r#"name="n[m]""#, r#"name="n""#], "n"),
        ([r#"name="n[m]""#, r#"name="n[m]""#], "n[m]"),
    ] {
        let parts = parts.map(|part| (part, b"1".as_slice()));
        assert_eq!(read(&parts), Err(FormError::Repeated(name.to_owned())), "{parts:?}");
    }
}

#[test]
fn parts_are_bounded_in_number_and_size() {
    let names: Vec<String> = (0..=Form::MAX_PARTS).map(|n| format!("name=\"f{n}\"")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"1".as_slice())).collect();
    assert!(read(&parts[..Form::MAX_PARTS]).is_ok());
    assert_eq!(read(&parts), Err(FormError::TooManyParts));

    let large = vec![b'x'; Form::MAX_PART + 1];
    let file = r#"name="f"; filename="a""#;
    assert!(read(&[(file, &large[1..])]).is_ok());
    assert_eq!(read(&[(file, &large)]), Err(FormError::TooLarge("f".to_owned())));

    let long = format!("name=\"{}\"", "n".repeat(Form::MAX_NAME + 1));
    assert_eq!(read(&[(&long, b"1")]), Err(FormError::Name));
    assert_eq!(read(&[("filename=\"a\"", b"1")]), Err(FormError::Name));
}

#[test]
fn a_text_that_is_no_text_is_refused() {
    assert_eq!(
        read(&[(r#"name="prompt""#, b"\xff")]),
        Err(FormError::NotText("prompt".to_owned()))
    );
}

#[test]
fn a_content_type_without_a_boundary_is_refused() {
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for content_type in [
        "",
        "multipart/form-data",
        "multipart/mixed; boundary=a",
        "application/json",
        &long,
    ] {
        assert_eq!(
            Form::read(content_type, body(&[])),
            Err(FormError::Boundary),
            "{content_type}"
        );
    }
}

#[test]
fn a_form_that_ends_too_early_is_refused_wherever_it_is_cut() {
    let whole = body(&[(r#"name="prompt""#, b"waves"), (r#"name="f"; filename="a""#, b"\0\x01")]);
    let end = whole.len() - b"--\r\n".len();
    for cut in 0..end {
        assert!(Form::read(TYPE, whole.slice(..cut)).is_err(), "{cut}");
    }
    assert!(Form::read(TYPE, whole.slice(..end + 2)).is_ok());
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
        let _ = Form::read(TYPE, bytes.clone().into());
        let whole = body(&[(r#"name="a[b]""#, &bytes), (r#"name="c"; filename="d""#, &bytes)]);
        if let Ok(form) = Form::read(TYPE, whole.slice(..cut.min(whole.len()))) {
            prop_assert!(form.fields.len() + form.files.len() <= 2);
        }
    }

    #[test]
    fn a_file_comes_out_as_it_went_in(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let form = read(&[(r#"name="f"; filename="a""#, &bytes)]).unwrap();
        prop_assert_eq!(&form.files["f"], &bytes);
    }
}
