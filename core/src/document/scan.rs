//! The scanner: checks JSON text against RFC 8259 and finds where values begin and end.
//!
//! It makes no values and does not recurse, so that neither a large body nor deep nesting costs more than one pass
//! over the bytes. A checking scanner reads what came from outside; a trusting one walks text that was checked before.

use std::ops::Range;

/// How many arrays and objects may lie inside each other.
///
/// One less than the limit of `serde_json`, which refuses to enter the 128th, so that every document that was read
/// can also be converted.
pub const MAX_DEPTH: usize = 127;

/// A place where the text is not the JSON that was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    /// Offset in bytes.
    pub(super) at: usize,
    pub(super) problem: Problem,
}

/// What is wrong at the place of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// Something else should stand here.
    Expected(&'static str),
    /// More containers inside each other than [`MAX_DEPTH`].
    TooDeep,
}

/// Where a member's name, with its quotes, and its value lie.
type MemberPlace = (Range<usize>, Range<usize>);

/// Reads JSON text from `at` onwards. `CHECKED` says that the text was accepted before.
#[derive(Debug)]
pub(super) struct Scanner<'a, const CHECKED: bool> {
    text: &'a [u8],
    /// The next byte to read.
    pub(super) at: usize,
    /// All bytes of strings, joined by "or": tells whether anything but ASCII was seen.
    seen: u8,
}

/// A scanner of text that was not checked yet.
pub(super) type Checking<'a> = Scanner<'a, false>;
/// A scanner of text that a checking scanner has accepted.
pub(super) type Trusting<'a> = Scanner<'a, true>;

impl<'a, const CHECKED: bool> Scanner<'a, CHECKED> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Scanner { text, at: 0, seen: 0 }
    }

    /// Whether a string held bytes outside ASCII, so that UTF-8 remains to be checked.
    pub(super) fn saw_non_ascii(&self) -> bool {
        self.seen >= 0x80
    }

    /// The next byte, if there is one.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, problem: Problem::Expected(what) })
    }

    /// The name and the value of the next member. The scanner stands behind `{` or behind a member; at the end of the
    /// object it passes `}` and returns `None`.
    pub(super) fn member(&mut self, first: bool, outer_depth: usize) -> Result<Option<MemberPlace>, Fault> {
        if !self.another(first, b'}', "`,` or `}`", "a member name in double quotes or `}`")? {
            return Ok(None);
        }
        let name = self.name()?;
        let start = self.at;
        self.value(outer_depth)?;
        Ok(Some((name, start..self.at)))
    }

    /// The next element of an array, with the rules of [`member`](Self::member).
    pub(super) fn element(&mut self, first: bool, outer_depth: usize) -> Result<Option<Range<usize>>, Fault> {
        if !self.another(first, b']', "`,` or `]`", "a value or `]`")? {
            return Ok(None);
        }
        let start = self.at;
        self.value(outer_depth)?;
        Ok(Some(start..self.at))
    }

    /// Moves to the next child of a container, or past its `end`.
    fn another(&mut self, first: bool, end: u8, between: &'static str, at_first: &'static str) -> Result<bool, Fault> {
        self.skip_whitespace();
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_whitespace();
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => self.expected(if first { at_first } else { between }),
        }
    }

    /// A member name with its colon; the scanner stands at the value then. Returns where the name with its quotes lies.
    fn name(&mut self) -> Result<Range<usize>, Fault> {
        if self.peek() != Some(b'"') {
            return self.expected("a member name in double quotes");
        }
        let start = self.at;
        self.string()?;
        let name = start..self.at;
        self.skip_whitespace();
        if self.peek() != Some(b':') {
            return self.expected("`:` behind the member name");
        }
        self.at += 1;
        self.skip_whitespace();
        Ok(name)
    }

    /// One whole value; the scanner stands at its first byte and ends behind its last one.
    pub(super) fn value(&mut self, outer_depth: usize) -> Result<(), Fault> {
        // One bit per open container, the innermost lowest: 1 is an object, 0 an array. MAX_DEPTH fits.
        let mut open: u128 = 0;
        let mut depth = 0;
        loop {
            let mut ended = true;
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(start @ (b'{' | b'[')) => {
                    if outer_depth + depth >= MAX_DEPTH {
                        return Err(Fault { at: self.at, problem: Problem::TooDeep });
                    }
                    let is_object = start == b'{';
                    open = open << 1 | u128::from(is_object);
                    depth += 1;
                    self.at += 1;
                    self.skip_whitespace();
                    match self.peek() {
                        // The end of the empty container is met below.
                        Some(b'}') if is_object => {}
                        Some(b']') if !is_object => {}
                        _ => {
                            if is_object {
                                self.name()?;
                            }
                            ended = false;
                        }
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return self.expected("a value"),
            }
            while ended {
                if depth == 0 {
                    return Ok(());
                }
                self.skip_whitespace();
                let in_object = open & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.skip_whitespace();
                        if in_object {
                            self.name()?;
                        }
                        ended = false;
                    }
                    Some(b'}') if in_object => self.close(&mut open, &mut depth),
                    Some(b']') if !in_object => self.close(&mut open, &mut depth),
                    _ => return self.expected(if in_object { "`,` or `}`" } else { "`,` or `]`" }),
                }
            }
        }
    }

    fn close(&mut self, open: &mut u128, depth: &mut usize) {
        self.at += 1;
        *open >>= 1;
        *depth -= 1;
    }

    /// A string; the scanner stands at its opening quote.
    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.at = self.plain_end();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.expected("an escape such as `\\n`: a string holds no bare control character"),
                None => return self.expected("`\"` at the end of the string"),
            }
        }
    }

    /// Where the bytes that stand for themselves end: at a quote, a backslash, a control character or the end.
    fn plain_end(&mut self) -> usize {
        const LANES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        const WORDS_BEFORE_BLOCKS: usize = 8;

        let mut at = self.at;
        let mut words = 0;
        // Short strings: eight bytes at a time. Each term marks, in the high bit of a byte, that the byte stops us; the
        // lowest mark is exact, higher ones may be carries of it.
        while let Some(word) = self.text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let quote = word ^ (LANES * b'"' as u64);
            let backslash = word ^ (LANES * b'\\' as u64);
            let control = word.wrapping_sub(LANES * 0x20) & !word;
            let stops =
                ((quote.wrapping_sub(LANES) & !quote) | (backslash.wrapping_sub(LANES) & !backslash) | control) & HIGH;
            if word & HIGH != 0 {
                self.seen |= 0x80;
            }
            if stops != 0 {
                return at + stops.trailing_zeros() as usize / 8;
            }
            at += 8;
            words += 1;
            if words == WORDS_BEFORE_BLOCKS {
                at = self.plain_blocks_end(at);
            }
        }
        while let Some(&byte) = self.text.get(at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                break;
            }
            self.seen |= byte;
            at += 1;
        }
        at
    }

    /// Long strings, such as recordings in base64: passes whole blocks without a stop.
    fn plain_blocks_end(&mut self, at: usize) -> usize {
        let rest = &self.text[at..];
        if CHECKED {
            return at + memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        }
        let mut passed = 0;
        // A fixed block without early exit is what the compiler turns into vector instructions.
        for block in rest.as_chunks::<64>().0 {
            let mut stop = 0;
            let mut seen = 0;
            for &byte in block {
                stop |= u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
                seen |= byte;
            }
            if stop != 0 {
                break;
            }
            self.seen |= seen;
            passed += block.len();
        }
        at + passed
    }

    /// An escape; the scanner stands at the backslash. Lone surrogates are accepted: other JSON libraries write them.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.expected("four hexadecimal digits behind `\\u`");
                }
                self.at += 6;
                Ok(())
            }
            _ => self.expected("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u"),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.text[self.at..].starts_with(word) {
            return self.expected("a value");
        }
        self.at += word.len();
        Ok(())
    }
}
