//! The estimate of tokens where nobody counted them.
//!
//! It is the MegaLLM proxy's (`config/model_config.py` of megallm2api): a Chinese character is two thirds of a token,
//! any other a quarter; a message has at least one token and four beside its text. A number in the place of a text, as
//! in the input of embeddings, is a token that the client made itself.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::control;

/// How many tokens a request asks an upstream to read, by its `messages`, `prompt`, `input` and `instructions`.
///
/// It reads only text: an image or a tool's description counts for nothing. A body that cannot be read, because a text
/// in it holds half a surrogate pair, is a text in whole.
#[must_use]
pub fn input(body: &[u8]) -> u64 {
    match weigh(Reader::INPUT, body) {
        Some(weight) => weight.tokens.saturating_add(weight.text.tokens()),
        None => Text::of(&String::from_utf8_lossy(body)).tokens(),
    }
}

/// How many tokens a whole reply has, by the text of its `choices` and `output`; 0 if it cannot be read.
#[must_use]
pub fn output(body: &[u8]) -> u64 {
    weigh(Reader::OUTPUT, body).map_or(0, |weight| weight.text.tokens())
}

/// Tokens that a call may use in all: its question, and the most that it allows for the answer, where it says so.
#[must_use]
pub fn call(body: &[u8]) -> u64 {
    let named = control::scan(body).ok().and_then(|control| control.max_tokens);
    let most = named.and_then(|field| field.value.as_integer());
    input(body).saturating_add(most.and_then(|most| u64::try_from(most).ok()).unwrap_or(0))
}

/// The size of a text, in what the estimate counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    chinese: u64,
    other: u64,
}

impl Text {
    /// The size of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self {
                chinese: 0,
                other: text.len() as u64,
            };
        }
        let (mut chinese, mut other) = (0, 0);
        for c in text.chars() {
            *(if CHINESE.contains(&c) { &mut chinese } else { &mut other }) += 1;
        }
        Self { chinese, other }
    }

    /// Makes this the size of both texts together.
    pub const fn add(&mut self, more: Self) {
        self.chinese += more.chinese;
        self.other += more.other;
    }

    /// Its tokens, rounded down: 1.5 Chinese characters or 4 others make one.
    #[must_use]
    pub const fn tokens(self) -> u64 {
        (8 * self.chinese + 3 * self.other) / 12
    }
}

/// The text that a part of a reply says, wherever it stands in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said(pub(super) Text);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weight = Reader::OUTPUT.deserialize(deserializer)?;
        Ok(Self(weight.text))
    }
}

/// What was read: whole tokens, and text beside them.
#[derive(Clone, Copy, Default)]
struct Weight {
    text: Text,
    tokens: u64,
}

/// Reads the texts under some names, at any depth, and passes over everything else.
#[derive(Clone, Copy)]
struct Reader {
    names: &'static [&'static str],
    /// What an object with a `role` costs beside its text, and the least that its text costs.
    message: Option<(u64, u64)>,
}

impl Reader {
    const INPUT: Self = Self {
        names: &["messages", "prompt", "input", "instructions", "content", "text"],
        message: Some((4, 1)),
    };

    const OUTPUT: Self = Self {
        names: &[
            "choices",
            "message",
            "delta",
            "output",
            "content",
            "text",
            "reasoning",
            "reasoning_content",
            "summary",
            "refusal",
            "tool_calls",
            "function",
            "arguments",
        ],
        message: None,
    };
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Weight;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Weight, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Weight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Weight, E> {
        Ok(Weight {
            text: Text::of(text),
            tokens: 0,
        })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Weight, E> {
        Ok(Weight {
            text: Text::default(),
            tokens: 1,
        })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_unit<E>(self) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Weight, A::Error> {
        let mut sum = Weight::default();
        while let Some(item) = items.next_element_seed(self)? {
            sum.add(item);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Weight, A::Error> {
        let mut sum = Weight::default();
        let mut message = None;
        while let Some(name) = members.next_key_seed(Names(self.names))? {
            match name {
                Name::Texts => sum.add(members.next_value_seed(self)?),
                Name::Role => {
                    members.next_value::<IgnoredAny>()?;
                    message = self.message;
                }
                Name::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let Some((beside, least)) = message {
            let text = std::mem::take(&mut sum.text);
            sum.tokens = sum.tokens.saturating_add(text.tokens().max(least) + beside);
        }
        Ok(sum)
    }
}

impl Weight {
    const fn add(&mut self, more: Self) {
        self.text.add(more.text);
        self.tokens = self.tokens.saturating_add(more.tokens);
    }
}

/// What a member's name says of its value.
enum Name {
    Texts,
    Role,
    Other,
}

/// Reads a member's name without keeping it.
struct Names(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Names {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Names {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            "role" => Name::Role,
            _ if self.0.contains(&name) => Name::Texts,
            _ => Name::Other,
        })
    }
}

fn weigh(reader: Reader, body: &[u8]) -> Option<Weight> {
    reader.deserialize(&mut serde_json::Deserializer::from_slice(body)).ok()
}

/// The CJK Unified Ideographs, without their extensions.
const CHINESE: std::ops::RangeInclusive<char> = '\u{4e00}'..='\u{9fff}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_characters_are_two_thirds_of_a_token_and_others_a_quarter() {
        for (text, tokens) in [
            ("", 0),
            ("abc", 0),
            ("abcd", 1),
            ("你好", 1),
            ("你好啊", 2),
            ("你好, world!!", 3),
            ("ひらがな", 1),
            ("😀😀😀😀", 1),
        ] {
            assert_eq!(Text::of(text).tokens(), tokens, "{text}");
        }
    }

    #[test]
    fn a_message_has_four_tokens_beside_its_text_which_has_at_least_one() {
        assert_eq!(input(br#"{"messages":[{"role":"user","content":"abcdefgh"}]}"#), 6);
        assert_eq!(
            input(br#"{"messages":[{"role":"system","content":""},{"content":null,"role":"user"}]}"#),
            10
        );
    }

    #[test]
    fn of_a_content_array_only_the_text_counts() {
        let body = r#"{"messages":[{"role":"user","content":[
            {"type":"text","text":"abcd"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAAAAAAAAAA"}},
            {"type":"text","text":"你好啊"}]}],
            "tools":[{"function":{"description":"a very long description that is not read"}}]}"#;
        assert_eq!(input(body.as_bytes()), 3 + 4);
    }

    #[test]
    fn prompts_and_inputs_are_texts_lists_of_texts_tokens_or_items() {
        for (body, tokens) in [
            (r#"{"prompt":"abcdefgh"}"#, 2),
            (r#"{"prompt":["abcd","efgh"]}"#, 2),
            (r#"{"input":"abcd"}"#, 1),
            (r#"{"input":[1,2,3,4]}"#, 4),
            (r#"{"input":[[1,2],[3]]}"#, 3),
            (
                r#"{"instructions":"abcd","input":[{"role":"user","content":[{"type":"input_text","text":"abcdefgh"}]}]}"#,
                7,
            ),
            (r#"{"model":"abcdefgh","n":7}"#, 0),
        ] {
            assert_eq!(input(body.as_bytes()), tokens, "{body}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_read_is_a_text_in_whole() {
        assert_eq!(input(br#"{"prompt":"\ud800"}"#), 4);
        assert_eq!(input(br#"{"prompt":"abcd""#), 4);
    }

    #[test]
    fn the_text_of_a_reply_is_what_it_says_thinks_and_calls() {
        for (body, tokens) in [
            (
                r#"{"id":"abcdefgh","choices":[{"index":0,"message":{"role":"assistant","content":"abcd"}}]}"#,
                1,
            ),
            (r#"{"choices":[{"text":"abcd"},{"text":"efgh"}]}"#, 2),
            (
                r#"{"choices":[{"message":{"content":null,"reasoning_content":"abcd","tool_calls":[
                    {"id":"call_1","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#,
                2,
            ),
            (
                r#"{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"abcd"}]}]}"#,
                1,
            ),
            ("<html>", 0),
        ] {
            assert_eq!(output(body.as_bytes()), tokens, "{body}");
        }
    }
}
