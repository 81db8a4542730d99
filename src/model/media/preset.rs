//! Which of Jimeng's models there are, under which names, and what each takes.

/// A model that makes pictures or films.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaModel {
    /// It makes pictures.
    Image(ImageModel),
    /// It makes films.
    Video(VideoModel),
}

impl MediaModel {
    /// The names that lists of models show: the presets of films, and the picture model that people mean by Jimeng.
    pub const LISTED: [&str; 10] = [
        "jimeng_t2i_v40",
        "t2v-720",
        "t2v-1080",
        "t2v-pro",
        "i2v-first-720",
        "i2v-first",
        "i2v-first-pro",
        "i2v-first-tail-720",
        "i2v-first-tail",
        "i2v-recamera",
    ];

    /// The model of a name: a preset, or a `req_key` of Volcengine's.
    ///
    /// Every `jimeng_…` that makes no films makes pictures, so that a new one needs no new version of us. A film model
    /// that we do not know has no name here: what it takes is not known either. It is still relayed as it is.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if let Some(model) = VideoModel::named(name) {
            return Some(Self::Video(model));
        }
        let is_image = name.starts_with("jimeng_") && !FILMS.iter().any(|part| name.contains(part));
        is_image.then(|| Self::Image(ImageModel(name.to_owned())))
    }

    /// What it is upstream.
    #[must_use]
    pub fn req_key(&self) -> &str {
        match self {
            Self::Image(model) => model.req_key(),
            Self::Video(model) => model.req_key(),
        }
    }
}

/// A model that makes pictures, by its `req_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageModel(String);

impl ImageModel {
    /// What it is upstream.
    #[must_use]
    pub fn req_key(&self) -> &str {
        &self.0
    }
}

/// A model that makes films: a preset of the jimeng-relay client, or a `req_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoModel {
    name: &'static str,
    req_key: &'static str,
    takes: Takes,
}

/// What a film model takes beside the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// No image; the shape may be chosen.
    Text,
    /// No image and a shape, or the first frame.
    TextOrFirst,
    /// The first frame, whose shape the film has.
    First,
    /// The first and the last frame.
    FirstAndTail,
    /// The first frame, and how the camera moves.
    Recamera,
}

impl VideoModel {
    /// Every name, presets first.
    pub const ALL: [Self; 17] = [
        Self::new("t2v-720", "jimeng_t2v_v30", Takes::Text),
        Self::new("t2v-1080", "jimeng_t2v_v30_1080p", Takes::Text),
        Self::new("t2v-pro", "jimeng_ti2v_v30_pro", Takes::Text),
        Self::new("i2v-first-720", "jimeng_i2v_first_v30", Takes::First),
        Self::new("i2v-first", "jimeng_i2v_first_v30_1080", Takes::First),
        Self::new("i2v-first-pro", "jimeng_ti2v_v30_pro", Takes::First),
        Self::new("i2v-first-tail-720", "jimeng_i2v_first_tail_v30", Takes::FirstAndTail),
        Self::new("i2v-first-tail", "jimeng_i2v_first_tail_v30_1080", Takes::FirstAndTail),
        Self::new("i2v-recamera", "jimeng_i2v_recamera_v30", Takes::Recamera),
        Self::key("jimeng_t2v_v30", Takes::Text),
        Self::key("jimeng_t2v_v30_1080p", Takes::Text),
        Self::key("jimeng_ti2v_v30_pro", Takes::TextOrFirst),
        Self::key("jimeng_i2v_first_v30", Takes::First),
        Self::key("jimeng_i2v_first_v30_1080", Takes::First),
        Self::key("jimeng_i2v_first_tail_v30", Takes::FirstAndTail),
        Self::key("jimeng_i2v_first_tail_v30_1080", Takes::FirstAndTail),
        Self::key("jimeng_i2v_recamera_v30", Takes::Recamera),
    ];

    /// The model of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name == name)
    }

    /// How clients call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What it is upstream. A query must name the same one as its submit.
    #[must_use]
    pub const fn req_key(self) -> &'static str {
        self.req_key
    }

    /// What it takes.
    #[must_use]
    pub const fn takes(self) -> Takes {
        self.takes
    }

    const fn new(name: &'static str, req_key: &'static str, takes: Takes) -> Self {
        Self { name, req_key, takes }
    }

    const fn key(req_key: &'static str, takes: Takes) -> Self {
        Self::new(req_key, req_key, takes)
    }
}

/// What the names of film models have in them, but those of no picture model: the families `t2v`, `i2v` and `ti2v`,
/// and the two that move people.
const FILMS: [&str; 3] = ["2v_", "realman_avatar", "motion_imitation"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_presets_of_jimeng_relays_client_are_models() {
        for (preset, req_key) in [
            ("t2v-720", "jimeng_t2v_v30"),
            ("t2v-1080", "jimeng_t2v_v30_1080p"),
            ("t2v-pro", "jimeng_ti2v_v30_pro"),
            ("i2v-first-pro", "jimeng_ti2v_v30_pro"),
            ("i2v-first-720", "jimeng_i2v_first_v30"),
            ("i2v-first", "jimeng_i2v_first_v30_1080"),
            ("i2v-first-tail-720", "jimeng_i2v_first_tail_v30"),
            ("i2v-first-tail", "jimeng_i2v_first_tail_v30_1080"),
            ("i2v-recamera", "jimeng_i2v_recamera_v30"),
        ] {
            let model = VideoModel::named(preset).unwrap();
            assert_eq!(model.req_key(), req_key);
            assert!(VideoModel::named(req_key).is_some(), "{req_key}");
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let names: BTreeSet<_> = VideoModel::ALL.iter().map(|model| model.name()).collect();
        assert_eq!(names.len(), VideoModel::ALL.len());
    }

    #[test]
    fn every_other_model_of_jimeng_makes_pictures() {
        for name in [
            "jimeng_t2i_v40",
            "jimeng_t2i_v31",
            "jimeng_i2i_v30",
            "jimeng_seedream46_cvtob",
            "jimeng_t2i_v99",
        ] {
            let Some(MediaModel::Image(model)) = MediaModel::named(name) else {
                panic!("{name} makes pictures");
            };
            assert_eq!(model.req_key(), name);
        }
    }

    #[test]
    fn films_of_unknown_families_and_models_of_others_have_no_name_here() {
        for name in [
            "jimeng_t2v_v99",
            "jimeng_realman_avatar_picture_omni_v15",
            "jimeng_motion_imitation_v2",
            "gpt-image-1",
            "sora-2",
            "t2v",
            "",
            "T2V-720",
        ] {
            assert_eq!(MediaModel::named(name), None, "{name}");
        }
    }
}
