//! The picture and the film that finished tasks point to, as an object store serves them.

use std::io;

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE};
use http::{HeaderValue, Method, StatusCode};

use super::call::Call;
use super::portion::Portion;
use super::reply::{self, Reply};
use super::{World, link};

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
}

/// What a task makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    Picture,
    Film,
}

impl Medium {
    /// `jimeng_t2v_…`, `jimeng_i2v_…`, `jimeng_ti2v_…` and the two moving families make films.
    pub(super) fn of(req_key: &str) -> Self {
        let film = ["2v_", "realman_avatar", "motion_imitation"]
            .iter()
            .any(|part| req_key.contains(part));
        if film { Self::Film } else { Self::Picture }
    }

    /// What the names of such files end with.
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Picture => "png",
            Self::Film => "mp4",
        }
    }

    fn of_file(path: &str) -> Option<Self> {
        let (_, extension) = path.rsplit_once('.')?;
        [Self::Picture, Self::Film]
            .into_iter()
            .find(|medium| medium.extension() == extension)
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Picture => "image/png",
            Self::Film => "video/mp4",
        })
    }
}

/// Answers `GET /media/{name}`: the picture for every `.png`, the film for every `.mp4`, or a part of it; 403 once the
/// link is dead.
pub(super) fn answer(world: &World, call: &Call) -> Reply {
    let medium = match call.head.method {
        Method::GET | Method::HEAD => Medium::of_file(call.head.uri.path()),
        _ => None,
    };
    let Some(medium) = medium else {
        return reply::not_found();
    };
    if !link::lives(call, world.clock.wall()) {
        return reply::json_text(StatusCode::FORBIDDEN, EXPIRED);
    }
    let file = match medium {
        Medium::Picture => world.picture.png.clone(),
        Medium::Film => Bytes::from_static(FILM),
    };
    let length = file.len();
    let (status, body, range) = match Portion::asked_for(&call.head.headers, length) {
        Portion::Whole => (StatusCode::OK, file, None),
        Portion::Part(part) => {
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, file.slice(part), Some(range))
        }
        Portion::Beyond => {
            let range = format!("bytes */{length}");
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(range))
        }
    };
    let mut reply = reply::whole(status, medium.content_type(), body);
    reply
        .headers_mut()
        .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
        reply.headers_mut().insert(CONTENT_RANGE, range);
    }
    reply
}

/// Width and height of the picture in pixels; three times it must fit a byte.
const SIDE: u8 = 64;

/// Two seconds of a moving gradient, 192x108, H.264 in MP4, 2.9 KB. Made for this project and free of other people's
/// work, with `ffmpeg -f lavfi -i gradients=size=192x108:rate=8:duration=2:seed=1:c0=0x1b4332:c1=0x95d5b2:speed=0.05
/// -c:v libx264 -profile:v baseline -preset veryslow -crf 34 -pix_fmt yuv420p -movflags +faststart -fflags +bitexact
/// -flags:v +bitexact -map_metadata -1 film.mp4`.
const FILM: &[u8] = include_bytes!("film.mp4");

/// What Volcengine's object storage says of a link that has died.
const EXPIRED: &str = r#"{"Code":"AccessDenied","Message":"Request has expired"}"#;

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
