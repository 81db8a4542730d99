//! What kind of media some bytes are, and may be handed on as.

use super::MediaError;
use crate::model::vision::MediaType;

/// The two kinds of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
}

impl MediaKind {
    pub(super) const fn accept(self) -> &'static str {
        match self {
            Self::Image => "image/*, application/octet-stream;q=0.5",
            Self::Video => "video/*, application/octet-stream;q=0.5",
        }
    }
}

/// A type that may be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) kind: MediaKind,
    pub(super) name: &'static str,
}

/// The type that a head names; `None` where it names none, and the bytes have to tell.
///
/// Only these are handed on: an SVG is an `image/*` too, and runs scripts.
pub(super) fn declared(content_type: Option<&[u8]>) -> Result<Option<Known>, MediaError> {
    let Some(text) = content_type else { return Ok(None) };
    let text = std::str::from_utf8(text).map_err(|_| MediaError::NotMedia)?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(essence.as_str(), "" | OCTETS | "binary/octet-stream") {
        return Ok(None);
    }
    if let Some(image) = MediaType::from_name(&essence) {
        return Ok(Some(picture(image)));
    }
    let film = FILMS.into_iter().find(|name| *name == essence);
    film.map(|name| Some(film_of(name))).ok_or(MediaError::NotMedia)
}

/// The type of media that begins with `bytes`.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<Known> {
    if let Some(image) = MediaType::of(bytes) {
        return Some(picture(image));
    }
    match bytes {
        // ISO/IEC 14496-12, section 4.3; QuickTime's brand has two spaces.
        [0, 0, _, _, b'f', b't', b'y', b'p', b'q', b't', b' ', b' ', ..] => Some(film_of(QUICKTIME)),
        [0, 0, _, _, b'f', b't', b'y', b'p', ..] => Some(film_of(MP4)),
        // EBML, the head of WebM (RFC 8794, section 11.2.1).
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(film_of(WEBM)),
        _ => None,
    }
}

const fn picture(media_type: MediaType) -> Known {
    Known {
        kind: MediaKind::Image,
        name: media_type.name(),
    }
}

const fn film_of(name: &'static str) -> Known {
    Known {
        kind: MediaKind::Video,
        name,
    }
}

/// Bytes of no type.
pub(super) const OCTETS: &str = "application/octet-stream";

const MP4: &str = "video/mp4";
const WEBM: &str = "video/webm";
const QUICKTIME: &str = "video/quicktime";
const FILMS: [&str; 3] = [MP4, WEBM, QUICKTIME];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<Option<&'static str>, MediaError> {
        declared(Some(text.as_bytes())).map(|known| known.map(|known| known.name))
    }

    #[test]
    fn a_picture_and_a_film_are_named_by_their_head() {
        assert_eq!(named("image/PNG"), Ok(Some("image/png")));
        assert_eq!(named("image/jpg; q=1"), Ok(Some("image/jpeg")));
        assert_eq!(named("video/mp4"), Ok(Some("video/mp4")));
        assert_eq!(declared(Some(b"video/mp4")).unwrap().unwrap().kind, MediaKind::Video);
    }

    #[test]
    fn a_head_without_a_type_leaves_it_to_the_bytes() {
        for text in ["", "application/octet-stream", "binary/octet-stream; charset=x"] {
            assert_eq!(named(text), Ok(None), "{text}");
        }
        assert_eq!(declared(None), Ok(None));
    }

    #[test]
    fn what_a_browser_could_run_is_not_media() {
        for text in [
            "text/html",
            "image/svg+xml",
            "application/json",
            "text/plain",
            "video/x-evil",
            "multipart/mixed",
        ] {
            assert_eq!(named(text), Err(MediaError::NotMedia), "{text}");
        }
    }

    #[test]
    fn bytes_tell_what_they_are_by_their_beginning() {
        for (bytes, name) in [
            (b"\0\0\0\x18ftypmp42\0\0\0\0".as_slice(), Some("video/mp4")),
            (b"\0\0\0\x18ftypisom\0\0\0\0", Some("video/mp4")),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", Some("video/quicktime")),
            (b"\x1a\x45\xdf\xa3\x01", Some("video/webm")),
            (b"\x89PNG\r\n\x1a\n", Some("image/png")),
            (b"\0\0\0\x18ftypavif\0\0\0\0", Some("image/avif")),
            (b"<!DOCTYPE html>", None),
            (b"{\"error\":1}", None),
            (b"", None),
        ] {
            assert_eq!(of_bytes(bytes).map(|known| known.name), name);
        }
    }
}
