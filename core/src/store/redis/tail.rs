//! Saves of the end of a document alone. What links add mostly stands at the end, behind the recordings; then the rest
//! need not be sent, copied and written to the server's log again.
//!
//! This is only right while the server still holds what was loaded: the document is watched, so the transaction of an
//! end that does not fit any more changes nothing, and the document is saved whole.

/// A shorter beginning is not worth a comparison.
const LEAST: usize = 512;
/// From this length on a value loses the room that it does not use if that is more than a tenth.
const CUT_FROM: usize = 32 << 10;

/// From where on a document must be written over the one that the server holds; `None`: as a whole.
pub fn from(old: &[u8], new: &[u8]) -> Option<usize> {
    if old.len() < LEAST || new.len() < old.len() || room(new.len()) != room(old.len()) {
        return None;
    }
    let unused = room(old.len()) - old.len();
    if old.len() >= CUT_FROM && unused > old.len() / 10 {
        return None;
    }
    let from = common(old, new);
    (from >= LEAST && from >= new.len() / 2).then_some(from)
}

/// Bytes that both begin with.
fn common(old: &[u8], new: &[u8]) -> usize {
    const BLOCK: usize = 1024;
    let same = old.chunks_exact(BLOCK).zip(new.chunks_exact(BLOCK)).take_while(|(old, new)| old == new).count() * BLOCK;
    same + old[same..].iter().zip(&new[same..]).take_while(|(old, new)| old == new).count()
}

/// What the server sets aside for a value: its allocator (jemalloc) knows four sizes between two powers of two. A value
/// that outgrows its place is given twice of what it needs, for good; then a whole save costs less. Measured on Redis
/// 8.2.3: of 2,331 values that kept their place by this rule, none grew.
fn room(length: usize) -> usize {
    let header = if length < 256 { 3 } else { 5 + 4 * usize::from(length >= 1 << 16) };
    let bytes = length + header + 1;
    let step = bytes.next_power_of_two() / 8;
    bytes.next_multiple_of(step.max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(length: usize, end: &str) -> Vec<u8> {
        [&vec![b'x'; length - end.len()][..], end.as_bytes()].concat()
    }

    #[test]
    fn what_is_appended_is_written_alone() {
        let old = document(4700, "]}");
        let new = [&old[..4698], b",1]}"].concat();
        assert_eq!(from(&old, &new), Some(4698));
        let old = document(1_200_000, "]}");
        let new = [&old[..1_199_998], b",1]}"].concat();
        assert_eq!(from(&old, &new), Some(1_199_998));
        assert_eq!(from(&old, &old), Some(1_200_000));
    }

    #[test]
    fn whatever_else_is_written_whole() {
        let old = document(4700, "]}");
        assert_eq!(from(&old, &old[..4699]), None, "nothing cuts a value off");
        assert_eq!(from(&old, &[b"y", &old[1..]].concat()), None, "a change at the beginning");
        assert_eq!(from(&old, &[&old[..2000], b"y", &old[2001..]].concat()), None, "before the middle");
        assert_eq!(from(&document(100, ""), &document(100, "y")), None, "too short");
    }

    #[test]
    fn a_value_stays_in_its_place() {
        // Classes of jemalloc: 4096, 5120, 6144, 7168, 8192.
        for (length, expected) in [(4000, 4096), (4090, 4096), (4091, 5120), (5114, 5120), (5115, 6144), (8187, 10_240)]
        {
            assert_eq!(room(length), expected, "{length}");
        }
        let old = document(5100, "]}");
        assert_eq!(from(&old, &[&old[..5098], b",1]}"].concat()), Some(5098));
        assert_eq!(from(&old, &[&old[..5098], &[b'1'; 100], b"]}"].concat()), None);
        let old = document(1_100_000, "]}");
        assert_eq!(from(&old, &[&old[..], b"1"].concat()), None, "its room was cut off");
    }
}
