//! What a vision call is made of: images, and the few options that a caller may set.
//!
//! Everything here is parsed out of a stranger's text. What comes out is safe to hand to an upstream that fetches URLs,
//! and says nothing that the text did not prove.

mod image;
mod images;
mod media_type;
mod options;
mod public_url;

#[cfg(test)]
mod oracle;

pub use image::{Image, ImageError};
pub use images::{Images, ImagesError};
pub use media_type::MediaType;
pub use options::{Detail, Options, OptionsError};
pub use public_url::{PublicUrl, PublicUrlError};
