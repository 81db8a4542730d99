use serde_json::json;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\xfb\xff\xbf\xfe?";

fn parse(body: &Value) -> Result<VideoRequest, InvalidRequest> {
    VideoRequest::parse(body.to_string().as_bytes())
}

fn with(field: &str, value: &Value) -> Result<VideoRequest, InvalidRequest> {
    parse(&json!({"prompt": "x", field: value}))
}

#[test]
fn what_openais_sdk_sends_is_read() {
    let request = parse(&json!({
        "model": "t2v-1080", "prompt": "waves", "seconds": "8", "size": "1792x1024",
        "input_reference": {"image_url": "https://example.com/a.png"},
    }))
    .unwrap();
    assert_eq!(request.model.as_deref(), Some("t2v-1080"));
    assert_eq!(
        (request.seconds.to_string(), request.seconds.frames()),
        ("8".to_owned(), 241)
    );
    assert_eq!(
        (request.size.to_string(), request.size.ratio()),
        ("1792x1024".to_owned(), AspectRatio::Wide)
    );
    assert_eq!(request.first.unwrap().url(), Some("https://example.com/a.png"));
}

#[test]
fn a_prompt_is_enough_and_the_rest_is_openais_default() {
    let request = parse(&json!({"prompt": "x", "seconds": null, "input_reference": null, "user": "u-1"})).unwrap();
    assert_eq!(
        (request.seconds.to_string(), request.seconds.frames()),
        ("4".to_owned(), 121)
    );
    assert_eq!(
        (request.size.to_string(), request.size.ratio()),
        ("720x1280".to_owned(), AspectRatio::Tall)
    );
    assert_eq!((request.model, request.first, request.seed), (None, None, None));
}

#[test]
fn a_film_has_one_of_two_lengths() {
    for (value, frames) in [
        (json!(4), 121),
        (json!("4"), 121),
        (json!("5"), 121),
        (json!(8), 241),
        (json!("10"), 241),
    ] {
        assert_eq!(with("seconds", &value).unwrap().seconds.frames(), frames, "{value}");
    }
    for value in [
        json!(12),
        json!("12"),
        json!(0),
        json!(-4),
        json!(4.5),
        json!("four"),
        json!([4]),
    ] {
        assert_eq!(with("seconds", &value).unwrap_err().field(), Some("seconds"), "{value}");
    }
}

#[test]
fn a_size_is_a_shape() {
    for (text, ratio) in [
        ("720x1280", "9:16"),
        ("1280x720", "16:9"),
        ("1024x1792", "9:16"),
        ("1792x1024", "16:9"),
        ("1920x1080", "16:9"),
        ("1024x1024", "1:1"),
        ("21:9", "21:9"),
        ("3:4", "3:4"),
    ] {
        assert_eq!(
            with("size", &json!(text)).unwrap().size.ratio().label(),
            ratio,
            "{text}"
        );
    }
    for value in [
        json!("1536x1024"),
        json!("720p"),
        json!("2:1"),
        json!("auto"),
        json!(720),
    ] {
        assert_eq!(with("size", &value).unwrap_err().field(), Some("size"), "{value}");
    }
}

#[test]
fn files_and_texts_of_a_form_are_read_as_the_body_is() {
    let Value::Object(fields) = json!({"prompt": "x", "seed": "7", "seconds": "5", "template_id": "crane_push"}) else {
        unreachable!("it is an object");
    };
    let files = BTreeMap::from([("input_reference".to_owned(), Bytes::from_static(PNG))]);
    let request = VideoRequest::read(fields, files).unwrap();
    assert!(request.first.unwrap().base64().is_some());
    assert_eq!(request.seed, Some(7));
    assert_eq!(request.camera.unwrap().template_id, "crane_push");
}

#[test]
fn a_file_beside_a_url_is_one_image_too_many() {
    let Value::Object(fields) = json!({"prompt": "x", "input_reference": "https://example.com/a.png"}) else {
        unreachable!("it is an object");
    };
    let files = BTreeMap::from([("input_reference".to_owned(), Bytes::from_static(PNG))]);
    assert_eq!(
        VideoRequest::read(fields, files).unwrap_err().field(),
        Some("input_reference")
    );
}

#[test]
fn a_camera_needs_a_template() {
    let moving = parse(&json!({"prompt": "x", "template_id": "robo_arm", "camera_strength": "weak"})).unwrap();
    assert_eq!(
        moving.camera,
        Some(Camera {
            template_id: "robo_arm".to_owned(),
            strength: Some("weak".to_owned())
        })
    );
    for (body, field) in [
        (json!({"prompt": "x", "camera_strength": "weak"}), "camera_strength"),
        (
            json!({"prompt": "x", "template_id": "a", "camera_strength": "wild"}),
            "camera_strength",
        ),
        (json!({"prompt": "x", "template_id": ""}), "template_id"),
        (json!({"prompt": "x", "template_id": "../a"}), "template_id"),
    ] {
        assert_eq!(parse(&body).unwrap_err().field(), Some(field), "{body}");
    }
}

#[test]
fn a_field_that_we_would_not_pass_on_is_refused() {
    for name in ["frames", "aspect_ratio", "n", "Prompt", "remix_video_id", "image_urls"] {
        assert_eq!(with(name, &json!("1")), Err(InvalidRequest::Unknown(name.to_owned())));
    }
    let files = BTreeMap::from([("video".to_owned(), Bytes::from_static(PNG))]);
    let Value::Object(fields) = json!({"prompt": "x"}) else {
        unreachable!("it is an object");
    };
    let error = VideoRequest::read(fields, files).unwrap_err();
    assert_eq!(error.field(), Some("video"));
}
