use super::*;
use crate::model::control;
use crate::model::media::MediaModel;

const IMAGE: &str = "data:image/png;base64,iVBORw0KGgr7/7/+Pw==";
const URL: &str = "https://example.com/a.png";

fn image_model() -> ImageModel {
    match MediaModel::named("jimeng_t2i_v40") {
        Some(MediaModel::Image(model)) => model,
        other => panic!("not an image model: {other:?}"),
    }
}

fn image(body: &Value, index: u8) -> Value {
    let request = ImageRequest::parse(body.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&image_submit(&image_model(), &request, index)).unwrap()
}

fn video(model: &str, body: &Value) -> Result<Value, InvalidRequest> {
    let request = VideoRequest::parse(body.to_string().as_bytes()).unwrap();
    let submit = video_submit(VideoModel::named(model).unwrap(), &request)?;
    Ok(serde_json::from_slice(&submit).unwrap())
}

#[test]
fn an_image_is_one_task_that_makes_one_image() {
    let body = json!({"model": "m", "prompt": "x", "n": 4, "size": "1536x1024", "quality": "hd", "scale": 0.7});
    let submit = json!({
        "req_key": "jimeng_t2i_v40", "prompt": "x", "force_single": true, "width": 1536, "height": 1024, "scale": 0.7,
    });
    assert_eq!(image(&body, 0), submit);
    assert_eq!(image(&body, 3), submit);
}

#[test]
fn without_a_size_the_provider_chooses() {
    let submit = json!({"req_key": "jimeng_t2i_v40", "prompt": "x", "force_single": true});
    assert_eq!(image(&json!({"prompt": "x", "size": "auto"}), 0), submit);
}

#[test]
fn images_of_one_seed_begin_one_after_another() {
    let body = json!({"prompt": "x", "n": 2, "seed": 41});
    assert_eq!(
        (image(&body, 0)["seed"].as_i64(), image(&body, 1)["seed"].as_i64()),
        (Some(41), Some(42))
    );
    let any = json!({"prompt": "x", "n": 2, "seed": -1});
    assert_eq!(image(&any, 1)["seed"].as_i64(), Some(-1));
    let last = json!({"prompt": "x", "seed": i64::MAX});
    assert_eq!(image(&last, 9)["seed"].as_i64(), Some(i64::MAX));
}

#[test]
fn a_film_of_words_has_frames_and_a_shape() {
    let body = json!({"prompt": "x", "seconds": "8", "size": "1280x720", "seed": 7});
    let submit = json!({
        "req_key": "jimeng_t2v_v30", "prompt": "x", "frames": 241, "aspect_ratio": "16:9", "seed": 7,
    });
    assert_eq!(video("t2v-720", &body), Ok(submit));
    let upright = video("jimeng_ti2v_v30_pro", &json!({"prompt": "x"})).unwrap();
    assert_eq!(
        (&upright["frames"], &upright["aspect_ratio"]),
        (&json!(121), &json!("9:16"))
    );
}

#[test]
fn a_film_of_an_image_has_the_images_shape() {
    for (reference, field, value) in [
        (URL, "image_urls", URL),
        (IMAGE, "binary_data_base64", "iVBORw0KGgr7/7/+Pw=="),
    ] {
        let body = json!({"prompt": "x", "size": "1280x720", "input_reference": {"image_url": reference}});
        for (model, req_key) in [
            ("i2v-first", "jimeng_i2v_first_v30_1080"),
            ("i2v-first-pro", "jimeng_ti2v_v30_pro"),
            ("jimeng_ti2v_v30_pro", "jimeng_ti2v_v30_pro"),
        ] {
            let submit = json!({"req_key": req_key, "prompt": "x", "frames": 121, field: [value]});
            assert_eq!(video(model, &body), Ok(submit));
        }
    }
}

#[test]
fn the_first_frame_comes_before_the_last() {
    let body = json!({"prompt": "x", "input_reference": URL, "tail_reference": "https://example.com/b.png"});
    let submit = video("i2v-first-tail", &body).unwrap();
    assert_eq!(submit["image_urls"], json!([URL, "https://example.com/b.png"]));
}

#[test]
fn a_camera_moves_by_its_template() {
    let body = json!({
        "prompt": "x", "input_reference": URL, "template_id": "robo_arm", "camera_strength": "strong",
    });
    let submit = video("i2v-recamera", &body).unwrap();
    assert_eq!(
        (&submit["template_id"], &submit["camera_strength"]),
        (&json!("robo_arm"), &json!("strong"))
    );
}

#[test]
fn a_model_that_takes_something_else_says_what() {
    for (model, body, field) in [
        ("t2v-720", json!({"input_reference": URL}), "input_reference"),
        ("t2v-pro", json!({"input_reference": IMAGE}), "input_reference"),
        ("i2v-first", json!({}), "input_reference"),
        ("i2v-first", json!({"tail_reference": URL}), "input_reference"),
        (
            "i2v-first",
            json!({"input_reference": URL, "tail_reference": URL}),
            "tail_reference",
        ),
        ("jimeng_ti2v_v30_pro", json!({"tail_reference": URL}), "tail_reference"),
        ("i2v-first-tail", json!({"input_reference": URL}), "tail_reference"),
        (
            "i2v-first-tail",
            json!({"input_reference": URL, "tail_reference": IMAGE}),
            "tail_reference",
        ),
        ("i2v-recamera", json!({"input_reference": URL}), "template_id"),
        ("i2v-recamera", json!({"template_id": "robo_arm"}), "input_reference"),
        ("t2v-720", json!({"template_id": "robo_arm"}), "template_id"),
    ] {
        let mut body = body;
        body["prompt"] = json!("x");
        let error = video(model, &body).expect_err(model);
        assert_eq!(error.field(), Some(field), "{error}");
        assert!(error.to_string().starts_with(model), "{error}");
    }
}

#[test]
fn a_query_asks_for_urls_in_a_json_text_inside_the_json() {
    let query: Value = serde_json::from_slice(&query("jimeng_t2i_v40", "739")).unwrap();
    let expected = json!({
        "req_key": "jimeng_t2i_v40", "task_id": "739", "req_json": "{\"return_url\":true}",
    });
    assert_eq!(query, expected);
}

#[test]
fn what_we_write_passes_our_own_scanner() {
    let request = ImageRequest::parse(br#"{"prompt":"a \"quoted\" \u0000 \n one","scale":0.5}"#).unwrap();
    let submit = image_submit(&image_model(), &request, 0);
    let control = control::scan(&submit).unwrap();
    assert_eq!(control.req_key.unwrap().value.as_text(), Some("jimeng_t2i_v40"));
    assert!(control::scan(&query("k\"", "t\"")).is_ok());
}
