//! Server-sent events, read from a stream of bytes without changing one of them.
//!
//! A frame is one event as it came, up to and with the blank line that ends it (WHATWG HTML, section 9.2.6). Lines end
//! with LF, CR LF or CR. A frame that ends with a CR is given at once, though an LF may still belong to it: where that
//! one comes in a later chunk, it leads the next frame, in which it means nothing.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// Cuts a stream into frames. Everything that goes in comes out, in order.
#[derive(Debug)]
pub struct Frames {
    /// The beginning of a frame whose end has not come.
    held: BytesMut,
    line: Line,
    size: Size,
    place: Place,
    most: usize,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole frame.
    Frame(Frame),
    /// A part of a frame that is too large to be held: it passes unread.
    Part(Bytes),
}

/// One event, possibly of comments alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    place: Place,
}

/// Whether a frame may begin with a byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Later,
}

/// Whether the frame at hand is held until it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Held,
    TooLarge,
}

/// Where in a line the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At its beginning.
    Blank,
    /// Behind its first byte.
    Text,
    /// Behind a CR that ended a line; an LF may follow.
    Returned,
}

impl Default for Frames {
    fn default() -> Self {
        Self::bounded(MAX_FRAME_BYTES)
    }
}

impl Frames {
    /// A reader that holds frames of at most `most` bytes.
    #[must_use]
    pub fn bounded(most: usize) -> Self {
        Self {
            held: BytesMut::new(),
            line: Line::Blank,
            size: Size::Held,
            place: Place::First,
            most,
        }
    }

    /// Takes the next bytes, and gives every frame that they complete. A frame that lies within `chunk` is a slice of
    /// it; one that began earlier is joined.
    pub fn push(&mut self, mut chunk: Bytes, mut each: impl FnMut(Piece)) {
        while !chunk.is_empty() {
            let Some(end) = self.line.end_of_frame(&chunk) else {
                return self.hold(chunk, each);
            };
            let last = chunk.split_to(end);
            self.close(last, &mut each);
        }
    }

    /// Takes what is left at the stream's end: a frame without its blank line, if any.
    pub fn finish(&mut self) -> Option<Frame> {
        let bytes = self.held.split().freeze();
        (!bytes.is_empty()).then(|| self.frame(bytes))
    }

    /// Whether nothing of a frame has come whose end has not.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.is_held() && self.held.iter().all(|&byte| byte == b'\n')
    }

    /// Whether the frame at hand, if any, is held back in full.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.size == Size::Held
    }

    /// Keeps the beginning of a frame, unless it grows too large.
    fn hold(&mut self, chunk: Bytes, mut each: impl FnMut(Piece)) {
        if self.is_held() && self.held.len() + chunk.len() <= self.most {
            return self.held.extend_from_slice(&chunk);
        }
        self.size = Size::TooLarge;
        self.release(&mut each);
        each(Piece::Part(chunk));
    }

    /// Gives a frame whose last bytes have come.
    fn close(&mut self, last: Bytes, each: &mut impl FnMut(Piece)) {
        let fits = self.is_held() && self.held.len() + last.len() <= self.most;
        self.size = Size::Held;
        if !fits {
            self.release(each);
            self.place = Place::Later;
            return each(Piece::Part(last));
        }
        let bytes = if self.held.is_empty() {
            last
        } else {
            self.held.extend_from_slice(&last);
            self.held.split().freeze()
        };
        each(Piece::Frame(self.frame(bytes)));
    }

    fn release(&mut self, each: &mut impl FnMut(Piece)) {
        if !self.held.is_empty() {
            each(Piece::Part(self.held.split().freeze()));
        }
    }

    const fn frame(&mut self, bytes: Bytes) -> Frame {
        let place = self.place;
        self.place = Place::Later;
        Frame { bytes, place }
    }
}

impl Frame {
    /// Its bytes, as they came.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// What its `data` lines say, joined with LF; `None` if it has none.
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut data: Option<Cow<'_, [u8]>> = None;
        for value in lines(self.text()).filter_map(data_of) {
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(joined) => {
                    let joined = joined.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            }
        }
        data
    }

    /// Its bytes without the stream's byte order mark.
    fn text(&self) -> &[u8] {
        match self.place {
            Place::First => self.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.bytes),
            Place::Later => &self.bytes,
        }
    }
}

impl Line {
    /// How many of `bytes` belong to the frame at hand, if its end is among them. Every byte is looked at once.
    fn end_of_frame(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            match (*self, byte) {
                (Self::Blank, b'\n') => return Some(bytes.len() - after.len()),
                (Self::Blank, b'\r') => {
                    let after = after.strip_prefix(b"\n").unwrap_or_else(|| {
                        *self = Self::Returned;
                        after
                    });
                    return Some(bytes.len() - after.len());
                }
                (Self::Blank, _) => *self = Self::Text,
                (Self::Returned, _) => {
                    *self = Self::Blank;
                    rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                }
                (Self::Text, _) => {
                    let end = rest.iter().copied().position(is_line_end)?;
                    let (_, from_end) = rest.split_at(end);
                    *self = if from_end.first() == Some(&b'\r') {
                        Self::Returned
                    } else {
                        Self::Blank
                    };
                    rest = from_end.get(1..).unwrap_or_default();
                }
            }
        }
        None
    }
}

/// The lines of a whole frame, without their ends.
fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, end) = rest.split_at(rest.iter().copied().position(is_line_end).unwrap_or(rest.len()));
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
        Some(line)
    })
}

/// The value of a `data` line. One space behind the colon is not part of it.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The largest frame that is held and read. A chat frame has some hundred bytes; this is for one with an image in it.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
