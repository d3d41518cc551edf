//! The system from outside. One file, one question.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accounts;
mod addresses;
mod analysts;
mod availability;
mod backlog;
mod caching;
mod cancelling;
mod carts;
mod catalogue;
mod catalogue_files;
mod commands;
mod connections;
mod contracts;
mod converting;
mod customers_report;
mod errors;
mod examples;
mod expecting;
mod exporting;
mod exporting_rows;
mod fields;
mod following;
mod forgetting;
mod gateways;
mod guests;
mod hand;
mod history;
mod house;
mod idempotency;
mod importing;
mod manual;
mod master_keys;
mod outages;
mod own_projections;
mod past;
mod paying;
mod people;
mod product_reviews;
mod promotions;
mod protection;
mod proving;
mod queries;
mod rebuilding;
mod reconciling;
mod refunding;
mod reviewing;
mod roles;
mod routing;
mod screening;
mod sealing_up;
mod secrets;
mod self_audit;
mod settling;
mod shipping;
mod signing_in;
mod starting_secrets;
mod stock;
mod storm;
mod stripe;
mod subscribing;
mod support;
mod surroundings;
mod tables;
mod tampering;
mod timelines;
mod touring;
mod unavailable;
mod unmatched;
mod vendors;
mod wishlists;

/// The judge of proofs shares nothing with the code that makes them.
#[path = "../../sealing/src/rfc9162.rs"]
mod rfc9162;
