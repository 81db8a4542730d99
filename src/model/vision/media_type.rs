//! What kind of image some bytes are.

use std::fmt;

/// The type of an image, found in its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `image/png`.
    Png,
    /// `image/jpeg`.
    Jpeg,
    /// `image/webp`.
    Webp,
    /// `image/gif`.
    Gif,
    /// `image/bmp`.
    Bmp,
    /// `image/heic`, what iPhones take.
    Heic,
    /// `image/avif`.
    Avif,
}

impl MediaType {
    /// The type of the image that begins with `bytes`, if it is one of ours.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'B', b'M', rest @ ..] => is_bitmap(rest).then_some(Self::Bmp),
            [0, 0, _, _, b'f', b't', b'y', b'p', rest @ ..] => Self::of_brand(rest),
            _ => None,
        }
    }

    /// The type of an ISO media file by its major brand (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6).
    fn of_brand(file_type: &[u8]) -> Option<Self> {
        match file_type.first_chunk()? {
            b"heic" | b"heix" | b"heim" | b"heis" => Some(Self::Heic),
            b"avif" => Some(Self::Avif),
            _ => None,
        }
    }

    /// The type that a data URL names; browsers and tools spell two of them in more than one way.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "image/png" => Some(Self::Png),
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Some(Self::Jpeg),
            "image/webp" => Some(Self::Webp),
            "image/gif" => Some(Self::Gif),
            "image/bmp" | "image/x-bmp" | "image/x-ms-bmp" => Some(Self::Bmp),
            "image/heic" => Some(Self::Heic),
            "image/avif" => Some(Self::Avif),
            _ => None,
        }
    }

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Heic => "image/heic",
            Self::Avif => "image/avif",
        }
    }
}

/// Whether what follows `BM` is a bitmap's header. Two letters alone would let any text pass that begins with them.
fn is_bitmap(rest: &[u8]) -> bool {
    // Size of the file, four reserved bytes, where the pixels begin, and the size of the second header.
    let [_, _, _, _, 0, 0, 0, 0, _, _, _, _, size, 0, 0, 0, ..] = rest else {
        return false;
    };
    matches!(size, 12 | 40 | 52 | 56 | 64 | 108 | 124)
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_in_its_first_bytes() {
        let bitmap = [b"BM".as_slice(), &[9; 4], &[0; 4], &[54, 0, 0, 0, 40, 0, 0, 0]].concat();
        let known: [(&[u8], MediaType); 9] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", MediaType::Png),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", MediaType::Jpeg),
            (b"RIFF\x24\0\0\0WEBPVP8 ", MediaType::Webp),
            (b"GIF87a\x01\0", MediaType::Gif),
            (b"GIF89a\x01\0", MediaType::Gif),
            (&bitmap, MediaType::Bmp),
            (b"\0\0\0\x18ftypheic\0\0\0\0", MediaType::Heic),
            (b"\0\0\0\x18ftypheix\0\0\0\0", MediaType::Heic),
            (b"\0\0\0\x20ftypavif\0\0\0\0", MediaType::Avif),
        ];
        for (bytes, media_type) in known {
            assert_eq!(MediaType::of(bytes), Some(media_type));
            assert_eq!(MediaType::from_name(media_type.name()), Some(media_type));
        }
    }

    #[test]
    fn what_is_no_image_has_no_type() {
        let others: [&[u8]; 10] = [
            b"",
            b"BM",
            b"BMW makes cars, and no bitmaps at all",
            b"%PDF-1.7",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<!DOCTYPE html>",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"\0\0\0\x18ftypmp42",
            b"\0\0\0\x18ftyp",
            b"\x89PNG",
        ];
        for bytes in others {
            assert_eq!(MediaType::of(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
