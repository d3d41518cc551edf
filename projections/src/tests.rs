//! The read models against histories that the domain itself has decided, on a real PostgreSQL.

mod lookup;
mod marks;
mod queries;
mod rebuilding;
mod replay;
mod reports;
mod reviews;
mod running;
mod settling;
mod shop;
mod stories;
mod world;
