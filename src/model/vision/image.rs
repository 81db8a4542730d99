//! One image.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{BASE64, Encoding, Specification};
use serde::{Serialize, Serializer};

use super::media_type::MediaType;
use super::public_url::{PublicUrl, PublicUrlError};
use crate::model::http_url::without_prefix;

/// One image: a URL for the upstream to fetch, or the bytes of an image of a known type.
///
/// It is parsed from a URL, a data URL or bare base64, and renders as what OpenAI's `image_url.url` takes: the URL as
/// it was written, or a data URL with the type that its bytes have.
#[derive(Clone, PartialEq, Eq)]
pub struct Image(Source);

/// Where the pixels are.
#[derive(Clone, PartialEq, Eq)]
enum Source {
    /// Somewhere on the public internet.
    Linked(PublicUrl),
    /// Here.
    Inline { media_type: MediaType, bytes: Vec<u8> },
}

/// Why a text is not an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is a URL that may not be passed on.
    #[error(transparent)]
    Url(#[from] PublicUrlError),
    /// It is a data URL without a type or without base64.
    #[error("a data URL of an image reads data:image/…;base64,…")]
    DataUrl,
    /// It is no base64.
    #[error("the image is neither an http or https URL nor valid base64")]
    NotBase64,
    /// Its bytes are larger than [`Image::MAX_BYTES`].
    #[error("the image is larger than {} MiB", Image::MAX_BYTES / 1024 / 1024)]
    TooLarge,
    /// Its bytes are of no type that we know.
    #[error("the image is no PNG, JPEG, WebP, GIF, BMP, HEIC or AVIF")]
    NotAnImage,
    /// Its data URL names another type than its bytes have.
    #[error("the data URL says {declared:?}, but its bytes are {found}")]
    Mislabelled {
        /// What it says, cut to 40 characters.
        declared: String,
        /// What it is.
        found: MediaType,
    },
}

impl Image {
    /// The most bytes of one image, decoded: what the providers themselves take (DashScope: 10 MB).
    pub const MAX_BYTES: usize = 10 * 1024 * 1024;

    /// The type of its bytes; `None` for a URL, which we do not fetch.
    #[must_use]
    pub const fn media_type(&self) -> Option<MediaType> {
        match &self.0 {
            Source::Linked(_) => None,
            Source::Inline { media_type, .. } => Some(*media_type),
        }
    }

    fn from_data_url(rest: &str) -> Result<Self, ImageError> {
        let (head, base64) = rest.split_once(',').ok_or(ImageError::DataUrl)?;
        let (head, encoding) = head.rsplit_once(';').ok_or(ImageError::DataUrl)?;
        if !encoding.trim().eq_ignore_ascii_case("base64") {
            return Err(ImageError::DataUrl);
        }
        // Parameters of the type may follow it.
        let declared = head.split(';').next().unwrap_or_default().trim();
        let (media_type, bytes) = decode(base64)?;
        if MediaType::from_name(declared) == Some(media_type) {
            return Ok(Self(Source::Inline { media_type, bytes }));
        }
        Err(ImageError::Mislabelled {
            declared: declared.chars().take(40).collect(),
            found: media_type,
        })
    }
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let text = text.trim_ascii();
        if let Some(rest) = without_prefix(text, "data:") {
            return Self::from_data_url(rest);
        }
        // No alphabet of base64 has a colon.
        if text.contains("://") {
            return Ok(Self(Source::Linked(text.parse()?)));
        }
        let (media_type, bytes) = decode(text)?;
        Ok(Self(Source::Inline { media_type, bytes }))
    }
}

/// The bytes of base64 in either alphabet, padded or not, with whitespace anywhere, and what image they are.
fn decode(text: &str) -> Result<(MediaType, Vec<u8>), ImageError> {
    let mut digits = text.trim_ascii_end();
    for _ in 0..2 {
        digits = digits.strip_suffix('=').map_or(digits, str::trim_ascii_end);
    }
    let bytes = LENIENT.decode(digits.as_bytes()).map_err(|_| ImageError::NotBase64)?;
    if bytes.len() > Image::MAX_BYTES {
        return Err(ImageError::TooLarge);
    }
    let media_type = MediaType::of(&bytes).ok_or(ImageError::NotAnImage)?;
    Ok((media_type, bytes))
}

/// The value of OpenAI's `image_url.url`.
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Linked(url) => url.fmt(f),
            Source::Inline { media_type, bytes } => {
                write!(f, "data:{media_type};base64,{}", BASE64.encode_display(bytes))
            }
        }
    }
}

/// As [`Display`](fmt::Display) writes it.
impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Pictures and signed URLs stay out of logs.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Linked(_) => f.write_str("Image(URL)"),
            Source::Inline { media_type, bytes } => write!(f, "Image({media_type}, {} bytes)", bytes.len()),
        }
    }
}

static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
    let mut lenient = Specification::new();
    lenient.symbols.push_str(ALPHABET);
    lenient.translate.from.push_str("-_");
    lenient.translate.to.push_str("+/");
    lenient.ignore.push_str(" \t\r\n");
    lenient.check_trailing_bits = false;
    #[expect(
        clippy::expect_used,
        reason = "a constant that every test of this module decodes with"
    )]
    lenient.encoding().expect("the specification is valid")
});

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

    use super::*;
    use crate::model::http_url::HttpUrlError;

    /// The beginning of a PNG, whose base64 has all of `+`, `/` and padding.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\xfb\xff\xbf\xfe?";

    fn image(text: &str) -> Result<Image, ImageError> {
        text.parse()
    }

    fn data_url() -> String {
        format!("data:image/png;base64,{}", BASE64.encode(PNG))
    }

    #[test]
    fn a_url_is_passed_on_as_it_was_written() {
        let image = image(" https://example.com/A.png?sig=a%2Bb\n").unwrap();
        assert_eq!(image.to_string(), "https://example.com/A.png?sig=a%2Bb");
        assert_eq!(image.media_type(), None);
    }

    #[test]
    fn base64_of_every_kind_becomes_a_data_url_of_the_true_type() {
        let standard = BASE64.encode(PNG);
        assert!(standard.contains('+') && standard.contains('/') && standard.ends_with('='));
        let (head, tail) = standard.split_at(7);
        for text in [
            standard.clone(),
            BASE64_NOPAD.encode(PNG),
            BASE64URL_NOPAD.encode(PNG),
            format!("{}==", BASE64URL_NOPAD.encode(PNG)),
            format!(" {head}\r\n {tail}\n"),
            data_url(),
            format!("DATA:Image/PNG;name=a.png;BASE64,{head}\n{tail}"),
        ] {
            assert_eq!(image(&text).map(|image| image.to_string()), Ok(data_url()), "{text:?}");
        }
    }

    #[test]
    fn a_webp_is_not_labelled_a_jpeg() {
        let webp = image(&BASE64.encode(b"RIFF\x24\0\0\0WEBPVP8 ")).unwrap();
        assert_eq!(webp.media_type(), Some(MediaType::Webp));
        assert!(webp.to_string().starts_with("data:image/webp;base64,"));
    }

    #[test]
    fn a_data_url_that_lies_about_its_type_is_refused() {
        let lie = data_url().replace("image/png", "image/jpeg");
        let error = image(&lie).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data URL says \"image/jpeg\", but its bytes are image/png"
        );
        for declared in ["text/html", "image/svg+xml", ""] {
            let lie = data_url().replace("image/png", declared);
            assert!(matches!(image(&lie), Err(ImageError::Mislabelled { .. })), "{declared}");
        }
    }

    #[test]
    fn a_data_url_of_another_shape_is_refused() {
        for text in [
            "data:",
            "data:image/png",
            "data:image/png,abc",
            "data:image/png;utf8,abc",
            "data:image/png;base64",
        ] {
            assert_eq!(image(text), Err(ImageError::DataUrl), "{text}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for text in ["", " \n", "=", "aGVsbG8gd29ybGQ=", "data:image/png;base64,"] {
            assert_eq!(image(text), Err(ImageError::NotAnImage), "{text:?}");
        }
        for text in [
            "hello, world",
            "iVBOR",
            "iVBO===",
            "iV=BORw0KGgo",
            "../../etc/passwd",
            "iVBO%2B",
        ] {
            assert_eq!(image(text), Err(ImageError::NotBase64), "{text:?}");
        }
        for text in ["ftp://example.com/a.png", "file:///etc/passwd", "gopher://x"] {
            assert_eq!(
                image(text),
                Err(ImageError::Url(HttpUrlError::Scheme.into())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_image_has_at_most_ten_mebibytes() {
        let mut bytes = PNG.to_vec();
        bytes.resize(Image::MAX_BYTES, 0);
        assert!(image(&BASE64.encode(&bytes)).is_ok());
        bytes.push(0);
        assert_eq!(image(&BASE64.encode(&bytes)), Err(ImageError::TooLarge));
        assert_eq!(ImageError::TooLarge.to_string(), "the image is larger than 10 MiB");
    }

    #[test]
    fn an_image_does_not_show_itself_in_logs() {
        assert_eq!(
            format!("{:?}", image(&data_url()).unwrap()),
            "Image(image/png, 13 bytes)"
        );
        assert_eq!(
            format!("{:?}", image("https://example.com/?sig=s").unwrap()),
            "Image(URL)"
        );
    }

    #[test]
    fn an_accepted_image_reads_again_as_itself() {
        for text in [
            data_url(),
            BASE64URL_NOPAD.encode(PNG),
            "http://1.1.1.1:80/?a#b".to_owned(),
            "data:,".to_owned(),
        ] {
            super::super::oracle::judge(&text);
        }
    }
}
