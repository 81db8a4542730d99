//! How large an image is: OpenAI's words into the pixels that Jimeng makes.

use std::fmt;

use super::error::InvalidRequest;

/// Width and height of an image in pixels, within what Jimeng makes: a product from 1024² to 4096², and neither side
/// more than three times the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    width: u32,
    height: u32,
}

impl ImageSize {
    /// The fewest pixels.
    pub const LEAST_PIXELS: u64 = 1024 * 1024;

    /// The most pixels.
    pub const MOST_PIXELS: u64 = 4096 * 4096;

    /// The most that one side is longer than the other; Jimeng's default for `max_ratio`.
    pub const MOST_RATIO: u64 = 3;

    /// In pixels.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    /// In pixels.
    #[must_use]
    pub const fn height(self) -> u32 {
        self.height
    }

    /// Reads OpenAI's `size`; `None` for `auto`, with which Jimeng looks into the prompt.
    ///
    /// `256x256` and `512x512`, which OpenAI once made, stand for the smallest square that Jimeng makes. Every other
    /// size is made as it is asked for, or refused: nobody pays for another picture than the one he asked for.
    ///
    /// # Errors
    /// [`InvalidRequest::Size`] for any other text, or a size that Jimeng does not make.
    pub fn read(text: &str) -> Result<Option<Self>, InvalidRequest> {
        let (width, height) = match text {
            "auto" => return Ok(None),
            "256x256" | "512x512" => (1024, 1024),
            other => pixels(other)
                .ok_or_else(|| InvalidRequest::size(text, "is not a size: write one such as 2048x2048, or auto"))?,
        };
        let product = u64::from(width) * u64::from(height);
        if !(Self::LEAST_PIXELS..=Self::MOST_PIXELS).contains(&product) {
            let problem = "is not made: width times height is 1048576 (1024x1024) to 16777216 (4096x4096)";
            return Err(InvalidRequest::size(text, problem));
        }
        let (short, long) = (width.min(height), width.max(height));
        if u64::from(long) > Self::MOST_RATIO * u64::from(short) {
            let problem = "is not made: one side is at most three times the other";
            return Err(InvalidRequest::size(text, problem));
        }
        Ok(Some(Self { width, height }))
    }
}

/// As OpenAI writes it.
impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Two whole numbers from 1 to 99999 with an `x` between them.
pub(super) fn pixels(text: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| {
        let plain = (1..=5).contains(&digits.len()) && !digits.starts_with('0');
        let plain = plain && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (width, height) = text.split_once('x')?;
    Some((number(width)?, number(height)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(text: &str) -> Option<(u32, u32)> {
        ImageSize::read(text).unwrap().map(|size| (size.width(), size.height()))
    }

    #[test]
    fn every_size_of_openai_becomes_one_of_jimeng() {
        for (text, size) in [
            ("auto", None),
            ("256x256", Some((1024, 1024))),
            ("512x512", Some((1024, 1024))),
            ("1024x1024", Some((1024, 1024))),
            ("1536x1024", Some((1536, 1024))),
            ("1024x1536", Some((1024, 1536))),
            ("1792x1024", Some((1792, 1024))),
            ("1024x1792", Some((1024, 1792))),
            ("2048x2048", Some((2048, 2048))),
            ("3840x2160", Some((3840, 2160))),
            ("4096x4096", Some((4096, 4096))),
            ("3072x1024", Some((3072, 1024))),
        ] {
            assert_eq!(made(text), size, "{text}");
        }
    }

    #[test]
    fn a_size_that_jimeng_does_not_make_is_refused_with_its_bounds() {
        for (text, part) in [
            ("1023x1024", "1048576"),
            ("640x480", "1048576"),
            ("4097x4096", "16777216"),
            ("99999x99999", "16777216"),
            ("3073x1024", "three times"),
            ("1024x3073", "three times"),
        ] {
            let error = ImageSize::read(text).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert_eq!(error.field(), Some("size"));
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "x",
            "1024",
            "1024x",
            "x1024",
            "1024X1024",
            "1024*1024",
            "-1x5",
            "01024x1024",
            "1024x1024x1",
            "1e3x1e3",
            "large",
            "2K",
            " 1024x1024",
            "100000x1",
            "１０２４x1024",
        ] {
            assert!(ImageSize::read(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_can_be_made_and_is_what_was_asked_for(width in 1u32..6000, height in 1u32..6000) {
            let text = format!("{width}x{height}");
            if let Ok(size) = ImageSize::read(&text) {
                let size = size.unwrap();
                let (wide, high) = (u64::from(size.width()), u64::from(size.height()));
                prop_assert!((1 << 20..=1 << 24).contains(&(wide * high)));
                prop_assert!(wide <= 3 * high && high <= 3 * wide);
                prop_assert!(size.to_string() == text || text == "512x512" || text == "256x256");
            }
        }
    }
}
