//! What Volcengine's documents 1777001 and 1792710 ask of a submit for a film.

use std::ops::RangeInclusive;

/// Whether a submit with so many frames and images is one that `req_key` takes. Families that the documents do not
/// describe take everything.
pub(super) fn is_acceptable(req_key: &str, frames: Option<u64>, images: usize) -> bool {
    let Some(wanted) = images_of(req_key) else {
        return true;
    };
    wanted.contains(&images) && frames.is_none_or(|frames| FRAMES.contains(&frames))
}

/// How many images a film of this family begins from.
fn images_of(req_key: &str) -> Option<RangeInclusive<usize>> {
    FAMILIES
        .into_iter()
        .find(|(family, _)| req_key.starts_with(family))
        .map(|(_, images)| images)
}

/// Families by the beginning of their `req_key`, and how many images a film of each begins from. The first that fits
/// counts.
const FAMILIES: [(&str, RangeInclusive<usize>); 5] = [
    ("jimeng_t2v_", 0..=0),
    ("jimeng_ti2v_", 0..=1),
    ("jimeng_i2v_first_tail_", 2..=2),
    ("jimeng_i2v_first_", 1..=1),
    ("jimeng_i2v_recamera_", 1..=1),
];
/// Five and ten seconds: 24 frames each, and one.
const FRAMES: [u64; 2] = [121, 241];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_has_five_seconds_or_ten() {
        assert!(is_acceptable("jimeng_t2v_v30", Some(121), 0));
        assert!(is_acceptable("jimeng_t2v_v30", None, 0));
        assert!(!is_acceptable("jimeng_t2v_v30", Some(96), 0));
    }

    #[test]
    fn a_family_says_how_many_images_a_film_begins_from() {
        for (req_key, images, taken) in [
            ("jimeng_t2v_v30_1080p", 1, false),
            ("jimeng_i2v_first_v30", 0, false),
            ("jimeng_i2v_first_v30", 1, true),
            ("jimeng_i2v_first_tail_v30", 1, false),
            ("jimeng_i2v_first_tail_v30", 2, true),
            ("jimeng_ti2v_v30_pro", 0, true),
            ("jimeng_ti2v_v30_pro", 1, true),
            ("jimeng_realman_avatar_x", 7, true),
        ] {
            assert_eq!(is_acceptable(req_key, None, images), taken, "{req_key} {images}");
        }
    }
}
