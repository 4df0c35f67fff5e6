//! How the blocks of the audit log's tree are called in their table, whatever the store is made of.

/// What a level takes from the ids of its blocks: so the lowest, which has nearly all of them, grows at the end of the table.
const LEVEL: i64 = 1 << 48;

/// The id of a block, by its level and its number in it.
pub(crate) fn block_id(level: u32, number: u64) -> i64 {
    // Far below 2⁴⁸: a log of that many blocks is beyond any disk.
    number.cast_signed() - i64::from(level) * LEVEL
}
