//! A stream of server-sent events on its way to the client: what passes when, and what it said.
//!
//! Where nothing is hidden, every chunk passes at once, as it came, and is read beside that. Where the extra usage chunk
//! is hidden, a frame passes when it is whole and known not to be that one; frames are never merged.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::estimate::Text;
use super::event::{Choice, Chunk, Event, Kind};
use super::sse::{Frame, Frames, Piece};
use super::usage::Counts;
use crate::model::outcome::Outcome;
use crate::model::usage::{Source, Usage};

/// Whether the client sees the extra chunk that reports the usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// It sees everything: it asked for the chunk itself, or nobody did.
    Shown,
    /// It does not: Tollgate asked for it.
    Hidden,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It said that it was over: `[DONE]`, a `finish_reason` for every answer, or the event that completes a response.
    Complete,
    /// The upstream said that it failed. Its own error has passed.
    Failed,
    /// It broke off.
    Truncated,
}

/// Reads one stream.
#[derive(Debug)]
pub struct Stream {
    frames: Frames,
    extra: Extra,
    told: Told,
}

/// What the stream has said.
#[derive(Debug, Default)]
struct Told {
    end: Option<End>,
    answers: Answers,
    usage: Option<Usage>,
    said: Text,
}

/// Words of the upstream that end a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    /// The last frame was whole and too large to be read: an image, which completes its stream.
    Unread,
}

/// Which answers (`n` of them, by their index) have begun, and which are finished. An index past 127 is not looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    begun: u128,
    finished: u128,
}

impl Stream {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(extra: Extra) -> Self {
        Self {
            frames: Frames::default(),
            extra,
            told: Told::default(),
        }
    }

    /// Takes what came, and gives what passes now: the chunk itself, or with [`Extra::Hidden`] each frame that became
    /// whole.
    pub fn push(&mut self, chunk: Bytes, mut pass: impl FnMut(Bytes)) {
        let Self { frames, extra, told } = self;
        if *extra == Extra::Shown {
            pass(chunk.clone());
        }
        frames.push(chunk, |piece| {
            let passes = match piece {
                Piece::Frame(frame) => told.read(frame, *extra),
                Piece::Part(bytes) => {
                    told.end = told.end.or(Some(End::Unread));
                    Some(bytes)
                }
            };
            if let Some(bytes) = passes.filter(|_| *extra == Extra::Hidden) {
                pass(bytes);
            }
        });
        if !frames.is_held() && told.end == Some(End::Unread) {
            told.end = None;
        }
    }

    /// Reads what is left when the upstream has closed the stream: an event without its blank line. Gives it where it
    /// was held back and is fit to pass: the stump of a stream that broke off is not.
    pub fn finish(&mut self) -> Option<Bytes> {
        let left = self.frames.finish()?;
        let passes = self.told.read(left, self.extra);
        passes.filter(|_| self.extra == Extra::Hidden && self.ending() != Ending::Truncated)
    }

    /// Whether what has passed ends with a whole frame, so that one of ours may follow: a comment that keeps the
    /// connection alive, or an error.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        match self.extra {
            Extra::Shown => self.frames.is_between(),
            Extra::Hidden => self.frames.is_held(),
        }
    }

    /// How the stream ended, if it ended here.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self.told.end {
            Some(End::Failed) => Ending::Failed,
            Some(End::Done | End::Unread) => Ending::Complete,
            None if self.told.answers.are_finished() => Ending::Complete,
            None => Ending::Truncated,
        }
    }

    /// The tokens so far: as reported, else `input` and an estimate of the text that passed.
    #[must_use]
    pub fn usage(&self, input: impl FnOnce() -> u64) -> (Usage, Source) {
        let estimated = || Usage {
            input: input(),
            output: self.told.said.tokens(),
            cached: 0,
        };
        let reported = self.told.usage.map(|usage| (usage, Source::Reported));
        reported.unwrap_or_else(|| (estimated(), Source::Estimated))
    }
}

impl Ending {
    /// How a paid call counts whose stream ended so.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Complete => Outcome::Succeeded,
            Self::Failed | Self::Truncated => Outcome::Unknown,
        }
    }
}

impl Told {
    /// Takes note of a frame. Gives its bytes, unless it is to be hidden.
    fn read(&mut self, frame: Frame, extra: Extra) -> Option<Bytes> {
        if self.end == Some(End::Unread) {
            self.end = None;
        }
        let event = frame.data().map(|data| Event::of(&data));
        match event {
            Some(Event::Done) => self.end(End::Done),
            Some(Event::Chunk(chunk)) => {
                self.note(&chunk);
                if extra == Extra::Hidden && chunk.is_usage_alone() {
                    return None;
                }
            }
            Some(Event::Other) | None => {}
        }
        Some(frame.into_bytes())
    }

    fn note(&mut self, chunk: &Chunk) {
        let counts = chunk
            .usage
            .as_ref()
            .or(chunk.response.as_ref().and_then(|whole| whole.usage.as_ref()));
        self.usage = counts.and_then(Counts::usage).or(self.usage);
        for choice in chunk.choices.iter().flatten() {
            choice.said().for_each(|said| self.said.add(said.0));
            self.answers.note(choice);
        }
        if chunk.is_failure() {
            return self.end(End::Failed);
        }
        match chunk.kind {
            Some(Kind::Text) => self.said.add(chunk.delta.unwrap_or_default().0),
            Some(Kind::Completed) => self.end(End::Done),
            _ => {}
        }
    }

    /// A failure is a failure, even with `[DONE]` behind it.
    fn end(&mut self, end: End) {
        if self.end != Some(End::Failed) {
            self.end = Some(end);
        }
    }
}

impl Answers {
    fn note(&mut self, choice: &Choice) {
        let answer = 1_u128.checked_shl(choice.index.unwrap_or(0)).unwrap_or(0);
        self.begun |= answer;
        if choice.is_last() {
            self.finished |= answer;
        }
    }

    const fn are_finished(self) -> bool {
        self.begun != 0 && self.begun == self.finished
    }
}
