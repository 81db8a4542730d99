use proptest::prelude::*;

use super::*;

fn tokens(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        cached: 0,
    }
}

/// A stream that was read to its end.
fn read(extra: Extra, chunks: &[&str]) -> (Stream, Vec<String>) {
    let mut passed = Vec::new();
    let mut stream = Stream::new(extra);
    let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
    for chunk in chunks {
        stream.push(Bytes::copy_from_slice(chunk.as_bytes()), |bytes| {
            passed.push(text(bytes));
        });
    }
    passed.extend(stream.finish().map(text));
    (stream, passed)
}

fn ending(frames: &[&str]) -> Ending {
    read(Extra::Shown, frames).0.ending()
}

const HELLO: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello 你好\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn where_nothing_is_hidden_every_chunk_passes_at_once_as_it_came() {
    let whole = [HELLO, STOP, USAGE, DONE].concat();
    let chunks: Vec<&str> = [&whole[..10], &whole[10..100], &whole[100..]].into();
    let (stream, passed) = read(Extra::Shown, &chunks);
    assert_eq!(passed, chunks);
    assert_eq!(stream.ending(), Ending::Complete);
    assert_eq!(stream.usage(|| 0), (tokens(7, 5), Source::Reported));
}

#[test]
fn the_extra_usage_chunk_is_hidden_and_every_other_frame_passes_alone() {
    let whole = [HELLO, STOP, USAGE, DONE].concat();
    let (stream, passed) = read(Extra::Hidden, &[&whole[..10], &whole[10..]]);
    assert_eq!(passed, [HELLO, STOP, DONE]);
    assert_eq!(stream.usage(|| 0), (tokens(7, 5), Source::Reported));
}

#[test]
fn a_usage_beside_choices_and_an_empty_chunk_without_usage_are_not_hidden() {
    let filter = "data: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n";
    let beside = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
    let (stream, passed) = read(Extra::Hidden, &[filter, beside, ": keep-alive\n\n", "data: what\n\n"]);
    assert_eq!(passed, [filter, beside, ": keep-alive\n\n", "data: what\n\n"]);
    assert_eq!(stream.usage(|| 0).1, Source::Reported);
}

#[test]
fn usage_that_nobody_reported_is_estimated_from_the_text_that_passed() {
    let (stream, _) = read(Extra::Shown, &[HELLO, HELLO, DONE]);
    assert_eq!(stream.usage(|| 9), (tokens(9, 5), Source::Estimated));
}

#[test]
fn the_last_of_several_usages_counts() {
    let later = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":6}}\n\n";
    let (stream, _) = read(Extra::Shown, &[USAGE, later, HELLO, DONE]);
    assert_eq!(stream.usage(|| 0).0.output, 6);
}

#[test]
fn a_stream_is_complete_with_done_once_or_twice_or_with_every_answer_finished() {
    assert_eq!(ending(&[HELLO, DONE]), Ending::Complete);
    assert_eq!(ending(&[HELLO, STOP, DONE, DONE]), Ending::Complete);
    assert_eq!(ending(&[HELLO, STOP]), Ending::Complete);
    let second = HELLO.replace("\"index\":0", "\"index\":1");
    assert_eq!(ending(&[HELLO, &second, STOP]), Ending::Truncated);
    assert_eq!(
        ending(&[HELLO, &second, STOP, &STOP.replace("\"index\":0", "\"index\":1")]),
        Ending::Complete
    );
}

#[test]
fn a_stream_that_breaks_off_is_truncated() {
    assert_eq!(ending(&[]), Ending::Truncated);
    assert_eq!(ending(&[": keep-alive\n\n"]), Ending::Truncated);
    assert_eq!(ending(&[HELLO]), Ending::Truncated);
    assert_eq!(ending(&[HELLO, &STOP[..30]]), Ending::Truncated);
    let empty_reason = STOP.replace("stop", "");
    assert_eq!(ending(&[HELLO, &empty_reason]), Ending::Truncated);
}

#[test]
fn a_last_event_without_its_blank_line_counts() {
    let (stream, passed) = read(Extra::Hidden, &[HELLO, "data: [DONE]\n"]);
    assert_eq!(stream.ending(), Ending::Complete);
    assert_eq!(passed, [HELLO, "data: [DONE]\n"]);
}

#[test]
fn the_stump_of_a_held_frame_does_not_pass() {
    let (stream, passed) = read(Extra::Hidden, &[HELLO, &HELLO[..20]]);
    assert_eq!(passed, [HELLO]);
    assert_eq!(stream.ending(), Ending::Truncated);
    assert!(stream.is_between_frames());
}

#[test]
fn an_error_in_the_stream_is_the_upstreams_failure_even_if_done_follows() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n";
    assert_eq!(ending(&[HELLO, error]), Ending::Failed);
    assert_eq!(ending(&[HELLO, error, DONE]), Ending::Failed);
    assert_eq!(
        ending(&["event: error\ndata: {\"type\":\"error\",\"message\":\"x\"}\n\n"]),
        Ending::Failed
    );
    let none = HELLO.replace("\"usage\"", "\"error\":null,\"usage\"");
    assert_eq!(ending(&[&none, STOP]), Ending::Complete);
}

#[test]
fn a_response_is_read_by_the_types_of_its_events() {
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null,\"error\":null}}\n\n";
    let delta =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"abcdefgh\"}\n\n";
    let tool = "data: {\"type\":\"response.web_search_call.completed\"}\n\n";
    let audio = "data: {\"type\":\"response.audio.delta\",\"delta\":\"UklGRg==\"}\n\n";
    let (stream, _) = read(Extra::Shown, &[created, delta, tool, audio]);
    assert_eq!(stream.ending(), Ending::Truncated);
    assert_eq!(stream.usage(|| 1), (tokens(1, 2), Source::Estimated));
    let completed =
        "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":5}}}\n\n";
    let (stream, _) = read(Extra::Shown, &[created, delta, completed]);
    assert_eq!(stream.ending(), Ending::Complete);
    assert_eq!(stream.usage(|| 0), (tokens(7, 5), Source::Reported));
    assert_eq!(ending(&[&completed.replace("completed", "failed")]), Ending::Failed);
}

#[test]
fn a_field_of_a_wrong_type_hides_no_other() {
    let odd = "data: {\"type\":7,\"choices\":[{\"index\":\"a\",\"delta\":{\"content\":7},\"finish_reason\":\"stop\"}],\"usage\":[]}\n\n";
    assert_eq!(ending(&[odd]), Ending::Complete);
}

#[test]
fn ours_may_follow_only_between_frames() {
    let mut stream = Stream::new(Extra::Shown);
    assert!(stream.is_between_frames());
    stream.push(Bytes::from_static(b"data: a\n"), |_| {});
    assert!(!stream.is_between_frames());
    stream.push(Bytes::from_static(b"\n"), |_| {});
    assert!(stream.is_between_frames());
    let mut stream = Stream::new(Extra::Hidden);
    stream.push(Bytes::from_static(b"data: a\n"), |_| {});
    assert!(stream.is_between_frames());
}

#[test]
fn a_frame_too_large_to_be_read_passes_and_may_complete_an_image_but_not_while_it_comes() {
    for extra in [Extra::Shown, Extra::Hidden] {
        let image = Bytes::from(vec![b'a'; super::super::sse::MAX_FRAME_BYTES + 1]);
        let mut stream = Stream::new(extra);
        let mut passed = 0;
        stream.push(image.clone(), |bytes| passed += bytes.len());
        assert_eq!(passed, image.len());
        assert_eq!(
            (stream.ending(), stream.is_between_frames()),
            (Ending::Truncated, false)
        );
        stream.push(Bytes::from_static(b"\n\n"), |bytes| passed += bytes.len());
        assert_eq!(passed, image.len() + 2);
        assert_eq!((stream.ending(), stream.is_between_frames()), (Ending::Complete, true));
        stream.push(Bytes::from_static(HELLO.as_bytes()), |_| {});
        assert_eq!(stream.ending(), Ending::Truncated);
    }
}

proptest! {
    #[test]
    fn what_passes_is_what_came_but_for_the_hidden_chunk(
        frames in prop::collection::vec(prop::sample::select(vec![HELLO, STOP, USAGE, DONE, ": c\n\n"]), 0..12),
        size in 1_usize..80,
    ) {
        let whole = frames.concat();
        let mut stream = Stream::new(Extra::Hidden);
        let mut passed = Vec::new();
        for chunk in whole.as_bytes().chunks(size) {
            stream.push(Bytes::copy_from_slice(chunk), |bytes| passed.push(bytes));
        }
        prop_assert_eq!(stream.finish(), None);
        let expected: Vec<&str> = frames.into_iter().filter(|frame| *frame != USAGE).collect();
        prop_assert_eq!(passed, expected);
    }
}
