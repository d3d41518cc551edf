//! Files for analysts: rows as CSV or Parquet, and files that are complete or absent.
//!
//! ```text
//! lines of JSON ─▶ table: typed cells ─┬─▶ delimited: CSV
//!                                      └─▶ columnar: Parquet, part by part
//! work: OUT.partial/ … kill, resume … ─▶ OUT, complete
//! ```
//!
//! A row comes in as the line of JSON that readers over HTTP get, wherever it is from. This crate
//! knows formats and files, and nothing of where rows are kept: it is built once and seldom again.

pub mod columnar;
pub mod delimited;
pub mod events;
pub mod table;
pub mod work;
