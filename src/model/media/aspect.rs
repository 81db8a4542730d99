//! The shape of a film.

use std::fmt;

/// The shape of a film, of those that Jimeng makes. Its pixels follow from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AspectRatio {
    /// 21:9.
    Cinema,
    /// 16:9.
    Wide,
    /// 4:3.
    Classic,
    /// 1:1.
    Square,
    /// 3:4.
    Portrait,
    /// 9:16.
    Tall,
}

impl AspectRatio {
    /// Every one, from the widest.
    pub const ALL: [Self; 6] = [
        Self::Cinema,
        Self::Wide,
        Self::Classic,
        Self::Square,
        Self::Portrait,
        Self::Tall,
    ];

    /// As Jimeng writes it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cinema => "21:9",
            Self::Wide => "16:9",
            Self::Classic => "4:3",
            Self::Square => "1:1",
            Self::Portrait => "3:4",
            Self::Tall => "9:16",
        }
    }

    const fn sides(self) -> (u64, u64) {
        match self {
            Self::Cinema => (21, 9),
            Self::Wide => (16, 9),
            Self::Classic => (4, 3),
            Self::Square => (1, 1),
            Self::Portrait => (3, 4),
            Self::Tall => (9, 16),
        }
    }

    /// The shape of a picture of these pixels: within two parts in a hundred, so that OpenAI's `1792x1024` (7:4) is
    /// 16:9, and `2560x1080` is what shops call 21:9.
    #[must_use]
    pub fn of(width: u32, height: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|ratio| {
            let (wide, high) = ratio.sides();
            let (asked, made) = (u64::from(width) * high, u64::from(height) * wide);
            asked.abs_diff(made) * 50 <= made
        })
    }
}

impl fmt::Display for AspectRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_of_openai_and_of_screens_have_a_shape() {
        for (width, height, label) in [
            (720, 1280, "9:16"),
            (1280, 720, "16:9"),
            (1024, 1792, "9:16"),
            (1792, 1024, "16:9"),
            (1920, 1080, "16:9"),
            (1080, 1920, "9:16"),
            (854, 480, "16:9"),
            (1024, 1024, "1:1"),
            (1440, 1080, "4:3"),
            (1080, 1440, "3:4"),
            (2560, 1080, "21:9"),
        ] {
            assert_eq!(AspectRatio::of(width, height).map(AspectRatio::label), Some(label));
        }
    }

    #[test]
    fn a_size_between_two_shapes_has_none() {
        for (width, height) in [
            (1536, 1024),
            (1000, 1100),
            (2000, 1000),
            (1, 3),
            (3, 1),
            (1280, 1),
            (1, 99_999),
        ] {
            assert_eq!(AspectRatio::of(width, height), None, "{width}x{height}");
        }
    }
}
