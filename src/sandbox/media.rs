//! The picture and the film that finished tasks point to.

use std::io;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderValue, StatusCode};

use super::reply::{self, Reply};

/// The one picture that the imitation paints: a real PNG, ready in both forms that the upstreams deliver.
#[derive(Debug)]
pub(super) struct Picture {
    png: Bytes,
    base64: String,
}

impl Picture {
    /// Paints a small gradient.
    ///
    /// # Errors
    /// Only if the encoder fails, which for a picture in memory means a defect.
    pub(super) fn draw() -> io::Result<Self> {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, u32::from(SIDE), u32::from(SIDE));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        let pixels: Vec<u8> = (0..SIDE)
            .flat_map(|y| (0..SIDE).flat_map(move |x| [y * 3, 0x60, x * 3]))
            .collect();
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(Self {
            base64: BASE64.encode(&png),
            png: png.into(),
        })
    }

    /// The file in base64, as it stands in `binary_data_base64` and `b64_json`.
    pub(super) fn base64(&self) -> &str {
        &self.base64
    }

    /// The answer to `GET /media/{name}`: the picture for every `.png`, the film for every `.mp4`.
    pub(super) fn serve(&self, name: &str) -> Reply {
        let (content_type, file) = match name.rsplit_once('.') {
            Some((_, "png")) => ("image/png", self.png.clone()),
            Some((_, "mp4")) => ("video/mp4", Bytes::from_static(FILM)),
            _ => return reply::not_found(),
        };
        reply::whole(StatusCode::OK, HeaderValue::from_static(content_type), file)
    }
}

/// Width and height of the picture in pixels; three times it must fit a byte.
const SIDE: u8 = 64;

/// Two seconds of a moving gradient, 192x108, H.264 in MP4, 2.9 KB. Made for this project and free of other people's
/// work, with `ffmpeg -f lavfi -i gradients=size=192x108:rate=8:duration=2:seed=1:c0=0x1b4332:c1=0x95d5b2:speed=0.05
/// -c:v libx264 -profile:v baseline -preset veryslow -crf 34 -pix_fmt yuv420p -movflags +faststart -fflags +bitexact
/// -flags:v +bitexact -map_metadata -1 film.mp4`.
const FILM: &[u8] = include_bytes!("film.mp4");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_a_png_that_a_decoder_reads() {
        let picture = Picture::draw().unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(&picture.png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (64, 64));
        assert_eq!(BASE64.decode(picture.base64().as_bytes()).unwrap(), picture.png);
    }

    #[test]
    fn the_film_is_an_mp4_small_enough_to_carry() {
        assert_eq!(&FILM[4..8], b"ftyp");
        assert!(FILM.len() <= 8 * 1024);
    }
}
