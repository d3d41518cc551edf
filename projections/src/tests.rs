//! The read models against histories that the domain itself has decided, on a real PostgreSQL.

mod auditing;
mod catalogue;
mod diffing;
mod lookup;
mod marks;
mod past;
mod queries;
mod rebuilding;
mod replay;
mod reports;
mod reviews;
mod running;
mod sample;
mod settling;
mod shop;
mod sql;
mod steering;
mod stories;
mod world;
