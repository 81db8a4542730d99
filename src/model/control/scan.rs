//! One walk over the text: no tree, no recursion, nothing allocated but escaped texts.

use std::borrow::Cow;
use std::ops::Range;

use super::field::Field;
use super::{Control, MAX_DEPTH, ScanError, Spanned, Value};

/// Reads the control fields of `body`, which must be one JSON object and nothing else.
///
/// A name written with escapes (`"task\u005fid"`) is the same name to every parser and is read as such. Values of all
/// other fields are only checked against RFC 8259's grammar. The body is read twice, once for UTF-8 and once for this,
/// and long strings go by in blocks; only escaped names and escaped control texts take memory, at most their length.
///
/// # Errors
/// [`ScanError`]: bytes that are not UTF-8 first, wherever they stand, then whatever comes first in the body.
pub fn scan(body: &[u8]) -> Result<Control<'_>, ScanError> {
    let text = str::from_utf8(body).map_err(|error| ScanError::NotJson {
        offset: error.valid_up_to(),
    })?;
    let mut walk = Walk { text, at: 0 };
    walk.space();
    match walk.peek() {
        Some(b'{') => walk.at += 1,
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => return Err(ScanError::NotAnObject),
        _ => return Err(walk.broken()),
    }
    let control = walk.members()?;
    walk.space();
    if walk.peek().is_some() {
        Err(walk.broken())
    } else {
        Ok(control)
    }
}

/// A place in the body. Invariant: `at` is never past the end.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// The members of the body's own object, from behind its `{` to behind its `}`.
    fn members(&mut self) -> Result<Control<'a>, ScanError> {
        let mut control = Control::default();
        self.space();
        if self.eat(b'}') {
            return Ok(control);
        }
        loop {
            let start = self.at;
            let name = self.name()?;
            let name = self.unescaped(name).ok_or(ScanError::NotJson { offset: start })?;
            let field = Field::named(&name)?;
            let span = self.value()?;
            if let Some(field) = field {
                let value = self
                    .read(span.clone())
                    .ok_or(ScanError::Ambiguous { field: field.name() })?;
                field.fill(&mut control, Spanned { value, span })?;
            }
            self.space();
            if self.eat(b'}') {
                return Ok(control);
            }
            self.expect(b',')?;
            self.space();
        }
    }

    /// One member's name and the colon behind it, up to where its value begins.
    fn name(&mut self) -> Result<Range<usize>, ScanError> {
        let name = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(name)
    }

    /// One whole value of any kind.
    fn value(&mut self) -> Result<Range<usize>, ScanError> {
        let start = self.at;
        let mut open = Open::default();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    open.push(Kind::Object)?;
                    self.space();
                    if self.peek() != Some(b'}') {
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    open.push(Kind::Array)?;
                    self.space();
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.broken()),
            }
            if self.closed(&mut open)? {
                return Ok(start..self.at);
            }
        }
    }

    /// Behind a value or an empty container's opening: closes what ends here. False where one more value follows.
    fn closed(&mut self, open: &mut Open) -> Result<bool, ScanError> {
        while let Some(kind) = open.innermost() {
            self.space();
            if self.eat(kind.end()) {
                open.pop();
                continue;
            }
            self.expect(b',')?;
            self.space();
            if matches!(kind, Kind::Object) {
                self.name()?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// A string's bytes, quotes included. Escapes are checked, not yet read.
    fn string(&mut self) -> Result<Range<usize>, ScanError> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(byte) if byte >= b' ' => self.plain(),
                _ => return Err(self.broken()),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.broken());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.broken()),
        }
        Ok(())
    }

    /// Goes to the next byte that a string cannot simply contain. Blocks of a fixed size become vector instructions.
    fn plain(&mut self) {
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        let (blocks, _) = self.rest().as_chunks::<BLOCK>();
        let whole = blocks
            .iter()
            .take_while(|block| !block.iter().fold(false, |any, &byte| any | special(byte)));
        self.at += BLOCK * whole.count();
        self.at += self.rest().iter().take_while(|&&byte| !special(byte)).count();
    }

    /// A number: no plus sign, no leading zero, no bare point.
    fn number(&mut self) -> Result<(), ScanError> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), ScanError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.broken()) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> Result<(), ScanError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.broken());
        }
        self.at += word.len();
        Ok(())
    }

    /// What a checked value holds. `None` for a text that parsers read differently.
    fn read(&self, span: Range<usize>) -> Option<Value<'a>> {
        let raw = self.text.get(span.clone())?;
        Some(match raw.as_bytes() {
            [b'"', ..] => Value::Text(self.unescaped(span).filter(|text| !text.contains('\0'))?),
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"-0" => Value::Other,
            _ => raw.parse().map_or(Value::Other, Value::Integer),
        })
    }

    /// The text of a checked string. `None` if it has half a surrogate pair.
    fn unescaped(&self, span: Range<usize>) -> Option<Cow<'a, str>> {
        let quoted = self.text.get(span)?;
        if quoted.contains('\\') {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        quoted.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
    }

    /// Past the four bytes that JSON calls whitespace.
    fn space(&mut self) {
        self.at += self
            .rest()
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.eat(byte) { Ok(()) } else { Err(self.broken()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    const fn broken(&self) -> ScanError {
        ScanError::NotJson { offset: self.at }
    }
}

/// What encloses a value.
#[derive(Clone, Copy)]
enum Kind {
    Array,
    Object,
}

impl Kind {
    const fn end(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}

/// The containers open inside the body's object, the innermost in the lowest bit: a stack that cannot grow.
#[derive(Default)]
struct Open {
    objects: u128,
    count: u32,
}

impl Open {
    fn push(&mut self, kind: Kind) -> Result<(), ScanError> {
        if self.count + 1 >= MAX_DEPTH {
            return Err(ScanError::TooDeep);
        }
        self.count += 1;
        self.objects = self.objects << 1 | u128::from(matches!(kind, Kind::Object));
        Ok(())
    }

    const fn pop(&mut self) {
        self.count -= 1;
        self.objects >>= 1;
    }

    const fn innermost(&self) -> Option<Kind> {
        match (self.count, self.objects & 1) {
            (0, _) => None,
            (_, 0) => Some(Kind::Array),
            _ => Some(Kind::Object),
        }
    }
}

/// Bytes looked at together in a string.
const BLOCK: usize = 32;
