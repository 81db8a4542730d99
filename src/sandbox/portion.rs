//! The part of a file that a `Range` header asks for.

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// What to send of a file, as RFC 9110, section 14.2, has it for a single range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Portion {
    /// All of it: nothing else was asked for, or in a form that may be ignored, such as several ranges.
    Whole,
    /// These bytes, at least one.
    Part(Range<usize>),
    /// Nothing, because what was asked for begins behind the end.
    Beyond,
}

impl Portion {
    /// What `headers` ask for of a file of `length` bytes.
    pub(super) fn asked_for(headers: &HeaderMap, length: usize) -> Self {
        let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
        asked
            .and_then(|asked| Self::parse(asked, length))
            .unwrap_or(Self::Whole)
    }

    /// `bytes=2-5`, `bytes=2-` or `bytes=-5`; `None` for every other form.
    fn parse(asked: &str, length: usize) -> Option<Self> {
        let (first, last) = asked.strip_prefix("bytes=")?.trim().split_once('-')?;
        let part = if first.is_empty() {
            length.saturating_sub(last.parse().ok()?)..length
        } else {
            let first = first.parse::<usize>().ok()?;
            let end = match last {
                "" => length,
                last => last
                    .parse::<usize>()
                    .ok()
                    .filter(|last| *last >= first)?
                    .saturating_add(1),
            };
            first..end.min(length)
        };
        Some(if part.is_empty() {
            Self::Beyond
        } else {
            Self::Part(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ten(asked: &str) -> Portion {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, asked.parse().unwrap());
        Portion::asked_for(&headers, 10)
    }

    #[test]
    fn a_range_has_a_beginning_an_end_or_both() {
        assert_eq!(of_ten("bytes=2-5"), Portion::Part(2..6));
        assert_eq!(of_ten("bytes=2-"), Portion::Part(2..10));
        assert_eq!(of_ten("bytes=-3"), Portion::Part(7..10));
        assert_eq!(of_ten("bytes=2-99"), Portion::Part(2..10));
        assert_eq!(of_ten("bytes=-99"), Portion::Part(0..10));
    }

    #[test]
    fn a_range_behind_the_end_is_empty_and_what_is_no_range_means_the_whole() {
        assert_eq!(of_ten("bytes=10-"), Portion::Beyond);
        assert_eq!(of_ten("bytes=-0"), Portion::Beyond);
        for odd in ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=-"] {
            assert_eq!(of_ten(odd), Portion::Whole, "{odd}");
        }
        assert_eq!(Portion::asked_for(&HeaderMap::new(), 10), Portion::Whole);
    }
}
