use proptest::prelude::*;

use super::oracle::judge;
use super::*;

fn read(chunks: &[&'static [u8]]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut frames = Frames::default();
    for chunk in chunks {
        frames.push(Bytes::from_static(chunk), |piece| pieces.push(piece));
    }
    pieces
}

const NONE: &str = "(none)";

/// The data of every frame.
fn data(stream: &'static str) -> Vec<String> {
    let read_data = |piece: &Piece| match piece {
        Piece::Frame(frame) => frame
            .data()
            .map_or(NONE.to_owned(), |data| String::from_utf8(data.into_owned()).unwrap()),
        Piece::Part(_) => panic!("a part"),
    };
    read(&[stream.as_bytes()]).iter().map(read_data).collect()
}

#[test]
fn a_frame_within_one_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let mut frames = Vec::new();
    Frames::default().push(chunk.clone(), |piece| frames.push(piece));
    let [Piece::Frame(first), Piece::Frame(second)] = frames.as_slice() else {
        panic!("{frames:?}")
    };
    assert_eq!(first.bytes.as_ptr(), chunk.as_ptr());
    assert_eq!(second.bytes.as_ptr(), chunk[9..].as_ptr());
}

#[test]
fn a_frame_is_whole_as_soon_as_its_blank_line_came_even_if_a_line_feed_may_follow() {
    let pieces = read(&[b"data: a\r\n\r", b"\ndata: b\r\n\r\n"]);
    let bytes = pieces.into_iter().map(|piece| match piece {
        Piece::Frame(frame) => (frame.data().unwrap().into_owned(), frame.into_bytes()),
        Piece::Part(_) => panic!("a part"),
    });
    assert_eq!(
        bytes.collect::<Vec<_>>(),
        [
            (b"a".to_vec(), Bytes::from_static(b"data: a\r\n\r")),
            (b"b".to_vec(), Bytes::from_static(b"\ndata: b\r\n\r\n")),
        ]
    );
}

#[test]
fn data_lines_are_joined_and_every_other_line_is_left_out() {
    assert_eq!(data("data: a\ndata:b\ndata\ndata:  c\n\n"), ["a\nb\n\n c"]);
    assert_eq!(data(": keep-alive\n\n"), [NONE]);
    assert_eq!(data("event: x\nid: 7\ndata: a\ndatas: b\n\n"), ["a"]);
    assert_eq!(data("data: a\rdata: b\r\r"), ["a\nb"]);
    assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a", NONE]);
    assert_eq!(data("data: a\n\n\n\n"), ["a", NONE, NONE]);
}

#[test]
fn a_frame_without_its_blank_line_is_what_is_left() {
    let mut frames = Frames::default();
    frames.push(Bytes::from_static(b"data: a\n\ndata: b\n"), |_| {});
    assert!(!frames.is_between());
    let left = frames.finish().unwrap();
    assert_eq!(left.data().unwrap().as_ref(), b"b");
    assert_eq!(left.into_bytes(), b"data: b\n"[..]);
    assert_eq!(frames.finish(), None);
}

#[test]
fn a_frame_that_is_too_large_passes_in_parts_and_the_next_is_read_again() {
    let mut pieces = Vec::new();
    let mut frames = Frames::bounded(10);
    for chunk in ["data: 12", "345", "6", "7\n\ndata: a\n\n"] {
        frames.push(Bytes::from_static(chunk.as_bytes()), |piece| pieces.push(piece));
    }
    let part = |text: &'static str| Piece::Part(Bytes::from_static(text.as_bytes()));
    assert_eq!(pieces[..4], [part("data: 12"), part("345"), part("6"), part("7\n\n")]);
    assert!(matches!(&pieces[4..], [Piece::Frame(frame)] if frame.data().unwrap().as_ref() == b"a"));
}

#[test]
fn a_frame_is_too_large_or_not_however_it_is_cut() {
    for size in 1..12 {
        let mut frames = Frames::bounded(10);
        let mut parts = 0;
        for chunk in b"data: 4567\n\n".chunks(size) {
            frames.push(Bytes::from_static(chunk), |piece| {
                parts += usize::from(matches!(piece, Piece::Part(_)));
            });
        }
        assert!(parts > 0, "{size}");
    }
}

#[test]
fn a_character_may_be_cut_anywhere() {
    let stream = "data: 你好，世界\r\n\r\ndata: 😀\n\n".as_bytes();
    for size in 1..=8 {
        judge(stream, &[size]);
    }
}

proptest! {
    #[test]
    fn frames_are_the_same_however_the_stream_is_cut(
        stream in "(data|data: |:|event: x|[a界]|\u{feff}|\r|\n|\r\n|\n\n){0,30}",
        sizes in prop::collection::vec(0_u8..9, 0..9),
    ) {
        judge(stream.as_bytes(), &sizes);
    }

    #[test]
    fn any_bytes_pass(stream in prop::collection::vec(any::<u8>(), 0..200), sizes in prop::collection::vec(0_u8..50, 0..9)) {
        judge(&stream, &sizes);
    }
}
