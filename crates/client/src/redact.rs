//! Takes values out of a stream of bytes, in every form that programs commonly print them.
//!
//! What is looked for, per value: the value itself, each of its lines, and of all of these the base64, URL-escaped and
//! JSON-escaped forms (`forms`). What is found is replaced by [`MARK`]; forms that touch or overlap make one mark.
//! Everything else passes byte for byte.
//!
//! **Short values.** A whole value is taken out however short it is: the promise is that no value appears. A value of
//! one letter so takes that letter out of everything; [`SHORT`] tells a caller whom to warn. Lines and encoded forms are
//! looked for from [`SHORT`] bytes on, since shorter ones are found in any text by chance.
//!
//! **Long values.** What is long is looked for in pieces of 48 to 64 bytes, that cover it without a gap. So a part of a
//! long value is taken out too, and no more than 63 bytes are ever held back.
//!
//! **Delay.** Bytes are held back only while they are the start of something looked for. A prompt appears at once, but for
//! a last letter or so that a value happens to start with. There is no time-out: a program that prints half a value,
//! waits, and prints the other half would have it told.
//!
//! **Memory.** The forms and the bytes held back are zeroed on drop. The searcher's own tables, which spell the forms
//! out byte by byte, are not: the library gives no way to.

mod forms;

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use forms::Form;
use zeroize::{Zeroize, Zeroizing};

/// What stands in place of a value.
pub const MARK: &[u8] = b"[redacted]";

/// Bytes from which on lines and encoded forms are looked for.
pub const SHORT: usize = 4;

/// Bytes of the longest piece that is looked for as one.
const PIECE: usize = 64;

/// Bytes of all pieces together. The searcher takes some fifty times as much while it is built.
const MOST: usize = 8 << 20;

/// Why no redactor can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The values have too many forms to look for.
    #[error("the values are too large to be looked for: together their forms take more than {MOST} bytes")]
    TooLarge,
}

/// What is looked for. It has no `Debug`, as it holds values.
pub struct Redactor {
    /// Sorted, each once, none empty.
    pieces: Vec<Form>,
    searcher: AhoCorasick,
    longest: usize,
}

impl Redactor {
    /// Prepares for these values.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut pieces: Vec<Form> = Vec::new();
        let mut size = 0;
        for value in values {
            // The forms of a value are several times its length: not worth making only to be refused.
            if value.len() > MOST / 8 {
                return Err(Error::TooLarge);
            }
            for form in forms::of(value) {
                cut(form.as_slice(), |piece| {
                    size += piece.len();
                    pieces.push(Form::new(piece.to_vec()));
                });
            }
            if size > MOST {
                return Err(Error::TooLarge);
            }
        }
        pieces.sort_unstable();
        pieces.dedup();
        let longest = pieces.iter().map(|piece| piece.as_slice().len()).max().unwrap_or(0);
        let searcher = AhoCorasick::builder()
            // The only kind that tells every match, those within and across others included.
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(pieces.iter().map(Form::as_slice))
            .map_err(|_| Error::TooLarge)?;
        Ok(Self { pieces, searcher, longest })
    }

    /// A stream to filter, from its start.
    #[must_use]
    pub fn stream(&self) -> Stream<'_> {
        self.resume(Paused::default())
    }

    /// A stream from where it was paused. What is looked for may be more by now: nothing of it is missed where it goes on
    /// from what was held back.
    #[must_use]
    pub fn resume(&self, paused: Paused) -> Stream<'_> {
        let Paused { held, covered, marked } = paused;
        Stream { redactor: self, held, covered, marked }
    }

    /// Every stretch that is to be replaced, apart from each other and in order. The first `covered` bytes are one.
    fn stretches(&self, text: &[u8], covered: usize) -> Vec<Range<usize>> {
        let mut stretches: Vec<Range<usize>> = Vec::new();
        stretches.extend((covered > 0).then_some(0..covered));
        for found in self.searcher.find_overlapping_iter(text) {
            let mut new = found.range();
            // Matches come by their ends, so a new one touches the last stretches or none.
            while let Some(last) = stretches.pop_if(|last| last.end >= new.start) {
                new = last.start.min(new.start)..last.end.max(new.end);
            }
            stretches.push(new);
        }
        stretches
    }

    /// How many bytes at the end may be the start of a piece that is not yet all there.
    fn undecided(&self, text: &[u8]) -> usize {
        let most = self.longest.saturating_sub(1).min(text.len());
        let is_start = |tail: &[u8]| {
            // In sorted order those that go on from `tail` come right after it.
            let after = self.pieces.partition_point(|piece| piece.as_slice() <= tail);
            self.pieces.get(after).is_some_and(|piece| piece.as_slice().starts_with(tail))
        };
        (1..=most).rev().find(|&length| is_start(&text[text.len() - length..])).unwrap_or(0)
    }
}

/// Calls back with the pieces of a form.
fn cut(form: &[u8], mut piece: impl FnMut(&[u8])) {
    form.chunks_exact(PIECE).for_each(&mut piece);
    if !form.len().is_multiple_of(PIECE) {
        piece(&form[form.len().saturating_sub(PIECE)..]);
    }
}

/// One stream on its way. How it is split into chunks makes no difference to what comes out.
pub struct Stream<'a> {
    redactor: &'a Redactor,
    held: Zeroizing<Vec<u8>>,
    /// How many of the held bytes are already told by a mark.
    covered: usize,
    /// Whether a mark is the last thing that came out.
    marked: bool,
}

/// A stream that is to go on with another redactor.
#[derive(Default)]
pub struct Paused {
    held: Zeroizing<Vec<u8>>,
    covered: usize,
    marked: bool,
}

impl Stream<'_> {
    /// Where the stream is.
    #[must_use]
    pub fn pause(self) -> Paused {
        Paused { held: self.held, covered: self.covered, marked: self.marked }
    }

    /// Takes the next bytes, and adds to `out` what can be told by now.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut text = Zeroizing::new(Vec::with_capacity(self.held.len() + chunk.len()));
        text.extend_from_slice(&self.held);
        text.extend_from_slice(chunk);
        let decided = text.len() - self.redactor.undecided(&text);
        self.tell(&text, decided, out);
        self.held.zeroize();
        self.held.extend_from_slice(&text[decided..]);
    }

    /// Adds what was held back: no more comes, so it is the start of nothing.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.tell(&text, text.len(), out);
    }

    fn tell(&mut self, text: &[u8], decided: usize, out: &mut Vec<u8>) {
        if decided == 0 {
            return;
        }
        let mut told = 0;
        let stretches = self.redactor.stretches(text, self.covered);
        self.covered = 0;
        for stretch in stretches.into_iter().take_while(|stretch| stretch.start < decided) {
            self.pass(&text[told..stretch.start], out);
            if !self.marked {
                out.extend_from_slice(MARK);
                self.marked = true;
            }
            told = stretch.end.min(decided);
            self.covered = stretch.end - told;
        }
        self.pass(&text[told..decided], out);
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !bytes.is_empty() {
            out.extend_from_slice(bytes);
            self.marked = false;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    fn redacted(values: &[&str], text: &str) -> String {
        let redactor = Redactor::new(values.iter().copied()).unwrap();
        let (mut stream, mut out) = (redactor.stream(), Vec::new());
        stream.push(text.as_bytes(), &mut out);
        stream.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn matches_that_touch_or_overlap_are_covered_and_make_one_mark() {
        assert_eq!(redacted(&["abcd", "cdef"], "_abcdef_"), "_[redacted]_");
        assert_eq!(redacted(&["abcd", "bc"], "_abcd_bc_"), "_[redacted]_[redacted]_");
        assert_eq!(redacted(&["abab"], "_ababab_"), "_[redacted]_");
        assert_eq!(redacted(&["abcd"], "_abcdabcd_abcd"), "_[redacted]_[redacted]");
        assert_eq!(redacted(&["abcdefgh", "cd"], "_abcdefg_"), "_ab[redacted]efg_");
    }

    #[test]
    fn whole_values_are_found_however_short_and_short_lines_are_not() {
        assert_eq!(redacted(&["7"], "a7b"), "a[redacted]b");
        assert_eq!(redacted(&["}\nlonger\n"], "} longer"), "} [redacted]");
        assert_eq!(redacted(&[], "anything"), "anything");
        assert_eq!(redacted(&[""], "anything"), "anything");
    }

    #[test]
    fn a_stream_goes_on_with_more_to_look_for() {
        const TEXT: &str = "_hunter22_swordfish_";
        let old = Redactor::new(["hunter22"]).unwrap();
        let both = Redactor::new(["hunter22", "swordfish"]).unwrap();
        for at in 0..TEXT.len() {
            let (before, after) = TEXT.split_at(at);
            let (mut stream, mut out) = (old.stream(), Vec::new());
            stream.push(before.as_bytes(), &mut out);
            let mut stream = both.resume(stream.pause());
            stream.push(after.as_bytes(), &mut out);
            stream.finish(&mut out);
            // What had been told before is not taken back.
            let expected =
                if at <= "_hunter22_".len() { "_[redacted]_[redacted]_" } else { "_[redacted]_swordfish_" };
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{at}");
        }
    }

    #[test]
    fn what_is_the_start_of_nothing_is_told_at_once() {
        let redactor = Redactor::new(["hunter22"]).unwrap();
        let (mut stream, mut out) = (redactor.stream(), Vec::new());
        stream.push(b"Password: ", &mut out);
        assert_eq!(out, b"Password: ");
        stream.push(b"hunter2", &mut out);
        assert_eq!(out, b"Password: ");
        stream.push(b"1 hun", &mut out);
        assert_eq!(out, b"Password: hunter21 ");
        stream.finish(&mut out);
        assert_eq!(out, b"Password: hunter21 hun");
    }

    #[test]
    fn a_mark_does_not_wait_for_what_comes_after_it() {
        let redactor = Redactor::new(["hunter22"]).unwrap();
        let (mut stream, mut out) = (redactor.stream(), Vec::new());
        stream.push(b"is hunter22", &mut out);
        assert_eq!(out, b"is [redacted]");
    }

    #[test]
    fn no_more_than_a_piece_is_held_back_of_a_long_value() {
        let value: String = (0..4000).map(|number: u32| format!("{number},")).collect();
        let redactor = Redactor::new([value.as_str()]).unwrap();
        let (mut stream, mut out) = (redactor.stream(), Vec::new());
        for byte in value.bytes() {
            stream.push(&[byte], &mut out);
            assert!(stream.held.len() < PIECE);
        }
        stream.push(b".", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "[redacted].");
    }

    #[test]
    fn what_cannot_be_searched_is_refused() {
        let value = "x/é<".repeat(1 << 16);
        for values in [vec![value.repeat(5)], vec![value]] {
            assert_eq!(Redactor::new(values.iter().map(String::as_str)).err(), Some(Error::TooLarge));
        }
    }

    /// Text over letters that no mark has and few enough to make overlaps common.
    fn words() -> impl Strategy<Value = String> {
        "[XYZ/+\" é\n0]{1,12}"
    }

    /// Some forms of some values between other text.
    fn texts(values: Vec<String>) -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
        let forms: Vec<Vec<u8>> =
            values.iter().flat_map(|value| forms::of(value)).map(|form| form.as_slice().to_vec()).collect();
        let part = prop_oneof![
            proptest::sample::select(forms),
            words().prop_map(String::into_bytes),
            proptest::collection::vec(proptest::num::u8::ANY, 0..6),
        ];
        let text = proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
        (Just(values), text)
    }

    fn cases() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
        proptest::collection::vec(words(), 1..4).prop_flat_map(texts)
    }

    fn contains(text: &[u8], part: &[u8]) -> bool {
        text.windows(part.len()).any(|window| window == part)
    }

    /// What the output has to be, told in the slowest way: mark every byte of every form, then write.
    fn reference(values: &[String], text: &[u8]) -> Vec<u8> {
        let mut hidden = vec![false; text.len()];
        for form in values.iter().flat_map(|value| forms::of(value)) {
            cut(form.as_slice(), |piece| {
                for at in (0..text.len()).filter(|&at| text[at..].starts_with(piece)) {
                    hidden[at..at + piece.len()].fill(true);
                }
            });
        }
        let mut out = Vec::new();
        for (at, &byte) in text.iter().enumerate() {
            match (hidden[at], at > 0 && hidden[at - 1]) {
                (false, _) => out.push(byte),
                (true, false) => out.extend_from_slice(MARK),
                (true, true) => (),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn no_form_survives_and_no_split_matters((values, text) in cases(), cuts in proptest::collection::vec(1usize..9, 0..200)) {
            let redactor = Redactor::new(values.iter().map(String::as_str)).unwrap();
            let (mut stream, mut split) = (redactor.stream(), Vec::new());
            let mut rest = text.as_slice();
            for length in cuts {
                let (chunk, after) = rest.split_at(length.min(rest.len()));
                stream.push(chunk, &mut split);
                rest = after;
            }
            stream.push(rest, &mut split);
            stream.finish(&mut split);
            prop_assert_eq!(&split, &reference(&values, &text));
            for form in values.iter().flat_map(|value| forms::of(value)) {
                prop_assert!(!contains(&split, form.as_slice()), "{:?} in {:?}", form.as_slice(), split);
            }
        }

        #[test]
        fn of_a_long_value_nothing_is_left_in_any_form(value in "\\PC[a-z/+\"\\\\\n é]{30,400}", chunk in 1usize..200) {
            let redactor = Redactor::new([value.as_str()]).unwrap();
            let json = serde_json::to_string(&value).unwrap();
            for form in [
                value.clone(),
                STANDARD.encode(&value),
                URL_SAFE_NO_PAD.encode(&value),
                percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC).to_string(),
                json[1..json.len() - 1].to_owned(),
            ] {
                // No form has the letters around it, so the mark is all that is left between them.
                let (mut stream, mut out) = (redactor.stream(), Vec::new());
                format!("\u{1}{form}\u{1}").as_bytes().chunks(chunk).for_each(|part| stream.push(part, &mut out));
                stream.finish(&mut out);
                prop_assert_eq!(String::from_utf8_lossy(&out), "\u{1}[redacted]\u{1}", "{}", form);
            }
        }

        #[test]
        fn a_text_without_any_value_passes_as_it_is(text in proptest::collection::vec(0u8..=0x7f, 0..300)) {
            let redactor = Redactor::new(["ÄÖÜ-hunter22"]).unwrap();
            let (mut stream, mut out) = (redactor.stream(), Vec::new());
            stream.push(&text, &mut out);
            stream.finish(&mut out);
            prop_assert_eq!(out, text);
        }
    }
}
