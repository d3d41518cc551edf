//! How far the checkout process is behind the log: where it is too far, new orders have to wait,
//! or each of them would be carried through later than the one before.

use std::time::Duration;

use sqlx::PgPool;
use store::pace::Pace;

use crate::bells::every;
use crate::checkout;

/// Twenty seconds of a rush that nobody expected, a minute or two of work: more would keep everybody
/// waiting for longer than they pay attention.
pub const EVENTS_MAX_DEFAULT: i64 = 150_000;

/// How often the backlog is looked at: a few thousand orders may come meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Lets new orders wait while one that was placed so many events ago has not been begun, wherever
/// the checkout process runs; for ever.
pub async fn watch(pool: PgPool, pace: Pace, events_max: i64) {
    let mut ticks = every(LOOK_EVERY);
    loop {
        ticks.tick().await;
        // While the database does not answer, nothing is accepted anyway.
        if let Ok(backlog) = events(&pool).await {
            metrics::gauge!("daybook_checkout_backlog_events").set(as_gauge(backlog));
            pace.let_orders_wait(events_max <= backlog);
        }
    }
}

/// Events since the oldest order that has not been begun; none if nobody has ever said. What has
/// been acted on has been begun, whatever a program that keeps only its mark has left standing.
async fn events(pool: &PgPool) -> sqlx::Result<i64> {
    let select = "select log_head.position \
                  - coalesce(greatest(begun_to, worker_marks.position), log_head.position) \
                  from log_head left join worker_marks on worker = $1";
    sqlx::query_scalar(select)
        .bind(checkout::NAME)
        .fetch_one(pool)
        .await
}

fn as_gauge(events: i64) -> f64 {
    // Exact far beyond any backlog.
    u32::try_from(events).map_or(f64::from(u32::MAX), f64::from)
}
