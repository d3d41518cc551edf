//! Proof that the log is complete and unaltered: a Merkle tree over it, as in RFC 9162, whose heads
//! are signed, chained and kept elsewhere too.
//!
//! ```text
//! events ──▶ sealer ──▶ tiles (log_tiles)        GET /log/proof        client: is my event in it?
//!            (a reader)  signed heads (log_heads) ───────────────▶     auditor: is it the same log?
//!                        file of heads ─ copied elsewhere ─▶ daybook verify --head
//! ```
//!
//! 1. Leaf n - 1 is the line that stands for the event at position n ([`store::stored`]).
//! 2. A head covers all positions up to its size, names the head before it and the keys that may
//!    sign the next one.
//! 3. Nothing here is on a command's way: the sealer reads what has been committed.

pub mod checking;
pub mod export;
pub mod head;
pub mod heads_file;
pub mod keys;
pub mod online;
pub mod proofs;
#[cfg(test)]
mod rfc9162;
pub mod sealer;
pub mod tables;
pub mod tree;

pub use tlog_tiles::tlog::Hash;

/// The hash of the event's line as a leaf.
pub fn leaf(line: &[u8]) -> Hash {
    tlog_tiles::tlog::record_hash(line)
}
