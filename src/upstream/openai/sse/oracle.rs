//! The judge of the reader: what a parser that has the whole stream before it makes of it. The fuzz target shares this
//! file.

use bytes::Bytes;

use super::{Frame, Frames, Piece};

/// Checks that the frames of `stream` are the same however it is cut, and that no byte is lost, added or moved.
///
/// `sizes` are the lengths of the chunks, over and over; a length of 0 counts as 1.
///
/// # Panics
/// If it is not so.
pub(crate) fn judge(stream: &[u8], sizes: &[u8]) {
    let (expected, rest) = whole(stream);
    let mut seen: Vec<Seen> = Vec::new();
    let mut frames = Frames::default();
    for chunk in cut(stream, sizes) {
        frames.push(chunk, |piece| match piece {
            Piece::Frame(frame) => join(&mut seen, frame.data().map(Into::into), &frame.into_bytes()),
            Piece::Part(_) => panic!("a small frame came in parts"),
        });
    }
    let between = frames.is_between();
    let left = frames.finish().map(Frame::into_bytes).unwrap_or_default();
    let left = give_back(&mut seen, &left).to_vec();
    assert_eq!(seen, expected, "{}", String::from_utf8_lossy(stream));
    assert_eq!(left, rest);
    assert_eq!(between, rest.is_empty());

    let mut passed = Vec::new();
    let mut frames = Frames::bounded(sizes.len());
    for chunk in cut(stream, sizes) {
        frames.push(chunk, |piece| match piece {
            Piece::Frame(frame) => passed.extend_from_slice(&frame.into_bytes()),
            Piece::Part(bytes) => passed.extend_from_slice(&bytes),
        });
    }
    passed.extend(frames.finish().into_iter().flat_map(Frame::into_bytes));
    assert_eq!(passed, stream);
}

/// A frame's bytes and its data.
type Seen = (Vec<u8>, Option<Vec<u8>>);

fn join(seen: &mut Vec<Seen>, data: Option<Vec<u8>>, bytes: &[u8]) {
    let own = give_back(seen, bytes).to_vec();
    seen.push((own, data));
}

/// An LF that came late goes back to the frame that it ends.
fn give_back<'a>(seen: &mut [Seen], bytes: &'a [u8]) -> &'a [u8] {
    let Some((before, _)) = seen.last_mut().filter(|(before, _)| before.ends_with(b"\r")) else {
        return bytes;
    };
    let Some(own) = bytes.strip_prefix(b"\n") else {
        return bytes;
    };
    before.push(b'\n');
    own
}

fn cut(mut stream: &[u8], sizes: &[u8]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    for size in sizes.iter().chain([&1]).cycle() {
        if stream.is_empty() {
            break;
        }
        let (chunk, rest) = stream.split_at(usize::from(*size).clamp(1, stream.len()));
        chunks.push(Bytes::copy_from_slice(chunk));
        stream = rest;
    }
    chunks
}

/// Every whole frame, and the bytes behind the last.
fn whole(stream: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let (mut frames, mut frame, mut data) = (Vec::new(), Vec::new(), None::<Vec<Vec<u8>>>);
    let mut at = 0;
    while let Some(length) = stream[at..].iter().position(|byte| b"\r\n".contains(byte)) {
        let mut line = &stream[at..at + length];
        let end = if stream[at + length..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        frame.extend_from_slice(&stream[at..at + length + end]);
        at += length + end;
        if line.is_empty() {
            frames.push((std::mem::take(&mut frame), data.take().map(|lines| lines.join(&b'\n'))));
            continue;
        }
        if frames.is_empty() && frame.len() == length + end {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        let (name, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        if name == b"data" {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            data.get_or_insert_default().push(value.to_vec());
        }
    }
    frame.extend_from_slice(&stream[at..]);
    (frames, frame)
}
