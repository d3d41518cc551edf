//! Connections that are not asked whether they are still there when they have just been used.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgPoolOptions;

/// A connection that was used so lately is taken to be there still; asking it would cost as much
/// as many a query. Whoever is wrong about it is told to try again, as during any outage.
const SURELY_THERE: Duration = Duration::from_millis(100);

/// Options of a pool that asks only connections that have been idle for a while. By themselves pools
/// ask each time.
pub fn trusting() -> PgPoolOptions {
    PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                let sure = metadata.idle_for < SURELY_THERE;
                Ok(sure || connection.ping().await.is_ok())
            })
        })
}
