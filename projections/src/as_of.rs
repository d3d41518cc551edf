//! A moment of the past: where the log ended, or what time it was.

use chrono::{DateTime, Utc};
use serde::Serialize;
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use crate::storable;

/// A moment of the log. A position is exact. A time is as exact as the clocks of the processes that
/// wrote the log: every event is judged by the time that stands on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AsOf {
    /// When the log ended here.
    Position(i64),
    /// At this time.
    Time(DateTime<Utc>),
}

impl AsOf {
    /// Whether the event had been recorded by then.
    pub fn includes(self, event: &RecordedEvent) -> bool {
        match self {
            Self::Position(position) => event.position <= position,
            Self::Time(time) => event.recorded_at <= time,
        }
    }

    /// The last position and the last time, as a statement takes them: one of them restricts.
    pub(crate) fn bounds(self) -> (i64, DateTime<Utc>) {
        match self {
            Self::Position(position) => (position, storable::instant(DateTime::<Utc>::MAX_UTC)),
            Self::Time(time) => (i64::MAX, storable::instant(time)),
        }
    }
}
