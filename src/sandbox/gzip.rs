//! Answers in gzip's format (RFC 1952), as an upstream sends them that does not look at `Accept-Encoding`.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;

use super::mangle;
use super::reply::Reply;

/// Wraps the body as gzip and says so; a stream is wrapped frame by frame, each a member of its own.
pub(super) async fn compress(reply: Reply) -> Reply {
    let (mut head, body) = reply.into_parts();
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.remove(CONTENT_LENGTH);
    let body = match body {
        Either::Left(full) => Either::Left(Full::new(member(&mangle::collect(full).await))),
        Either::Right(body) => {
            let members = mangle::data(body).map_ok(|piece| Frame::data(member(&piece)));
            Either::Right(StreamBody::new(members.boxed()))
        }
    };
    Reply::from_parts(head, body)
}

/// One member whose blocks are stored as they are: every decoder reads it, and nothing needs to be squeezed.
fn member(data: &[u8]) -> Bytes {
    let mut out = HEADER.to_vec();
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let size = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&(!size).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32(data).to_le_bytes());
    let size = data.len() & 0xffff_ffff;
    out.extend_from_slice(&u32::try_from(size).unwrap_or_default().to_le_bytes());
    out.into()
}

/// CRC-32 as in RFC 1952, bit by bit.
fn crc32(data: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !data.iter().fold(u32::MAX, fold)
}

/// Magic, deflate, no flags, no time, no level, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_member_stores_its_data_between_header_and_checksum() {
        let packed = member(b"hello");
        assert_eq!(packed[10..15], [1, 5, 0, 0xfa, 0xff]);
        assert_eq!(&packed[15..20], b"hello");
        assert_eq!(packed[20..], [0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0]);
    }
}
