//! Rows on their way.

use strongroom_crypto::{Digest, leaf_digest};

/// What a column of a row holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    /// Numbers, and the two truths as 0 and 1.
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row, with the columns of its table in order. It has no `Debug`: there may be sealed bytes and hashes in it.
pub(crate) type Row = Vec<Cell>;

impl Cell {
    pub(crate) fn int(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(value) = self { Some(value) } else { None }
    }
}

/// How many rows there are, and what they come to, in whichever order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    sum: Digest,
}

impl Tally {
    pub(crate) fn add(&mut self, row: &Row) {
        self.rows += 1;
        for (sum, byte) in self.sum.iter_mut().zip(digest(row)) {
            *sum ^= byte;
        }
    }
}

/// A hash of a row, in which each column has its kind and length before it. As every row has a key of its own, no two cancel out.
fn digest(row: &Row) -> Digest {
    let mut bytes = Vec::new();
    let mut put = |kind: u8, content: &[u8]| {
        bytes.push(kind);
        bytes.extend((content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    };
    for cell in row {
        match cell {
            Cell::Null => put(0, &[]),
            Cell::Int(value) => put(1, &value.to_be_bytes()),
            Cell::Text(text) => put(2, text.as_bytes()),
            Cell::Bytes(content) => put(3, content),
        }
    }
    leaf_digest(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(rows: &[Row]) -> Tally {
        let mut tally = Tally::default();
        rows.iter().for_each(|row| tally.add(row));
        tally
    }

    #[test]
    fn any_difference_shows_and_no_order_does() {
        let row = |key: i64, text: &str| vec![Cell::Int(key), Cell::Text(text.to_owned()), Cell::Null];
        let rows = [row(1, "a"), row(2, "b")];
        assert_eq!(tally(&rows), tally(&[row(2, "b"), row(1, "a")]));
        assert_ne!(tally(&rows), tally(&[row(1, "b"), row(2, "a")]));
        assert_ne!(tally(&rows), tally(&rows[..1]));
        assert_ne!(
            tally(&[row(1, "a")]),
            tally(&[vec![Cell::Int(1), Cell::Bytes(b"a".to_vec()), Cell::Null]])
        );
        assert_ne!(tally(&[row(1, "a")]), tally(&[vec![Cell::Int(1), Cell::Text("a".into()), Cell::Int(0)]]));
    }
}
