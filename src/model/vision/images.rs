//! The images of one call.

use super::image::{Image, ImageError};

/// From one to [`Images::MAX`] images, in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images(Vec<Image>);

/// Why some texts are not the images of a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImagesError {
    /// There is none.
    #[error("give an image")]
    None,
    /// There are too many.
    #[error("a call takes at most {most} images, not {0}", most = Images::MAX)]
    TooMany(usize),
    /// The only one is wrong.
    #[error(transparent)]
    Single(ImageError),
    /// One of several is wrong.
    #[error("image {position}: {error}")]
    OneOf {
        /// Which one, from 1.
        position: usize,
        /// What is wrong.
        error: ImageError,
    },
}

impl Images {
    /// The most images of one call.
    pub const MAX: usize = 16;

    /// Reads the images of a call.
    ///
    /// # Errors
    /// [`ImagesError`], for the first that is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, ImagesError> {
        match texts {
            [] => Err(ImagesError::None),
            [only] => {
                let image = only.as_ref().parse().map_err(ImagesError::Single)?;
                Ok(Self(vec![image]))
            }
            many if many.len() > Self::MAX => Err(ImagesError::TooMany(many.len())),
            many => {
                let read = |(position, text): (usize, &T)| {
                    let wrong = |error| ImagesError::OneOf { position, error };
                    text.as_ref().parse().map_err(wrong)
                };
                (1..).zip(many).map(read).collect::<Result<_, _>>().map(Self)
            }
        }
    }

    /// The images.
    pub fn iter(&self) -> std::slice::Iter<'_, Image> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Images {
    type Item = &'a Image;
    type IntoIter = std::slice::Iter<'a, Image>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &str = "R0lGODlhAQABAAAAADs=";

    #[test]
    fn a_call_takes_one_to_sixteen_images_in_order() {
        let images = Images::parse(&["https://example.com/1.png", GIF]).unwrap();
        let rendered: Vec<_> = images.iter().map(ToString::to_string).collect();
        assert_eq!(
            rendered,
            [
                "https://example.com/1.png".to_owned(),
                format!("data:image/gif;base64,{GIF}")
            ]
        );
        assert!(Images::parse(&[GIF; 16]).is_ok());
        assert_eq!(Images::parse(&[GIF; 17]), Err(ImagesError::TooMany(17)));
        assert_eq!(Images::parse::<&str>(&[]), Err(ImagesError::None));
    }

    #[test]
    fn the_image_that_is_wrong_is_named() {
        let error = Images::parse(&[GIF, "http://localhost/"]).unwrap_err();
        let sentence = "image 2: the host of the image's URL is not on the public internet";
        assert_eq!(error.to_string(), sentence);
        let error = Images::parse(&["http://localhost/"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the host of the image's URL is not on the public internet"
        );
    }
}
