//! The log from a mark on, as a stream of batches: what was begun to be read is not lost when its
//! reader turns to something else meanwhile.

use std::sync::Arc;

use futures::Stream;
use store::feed::Feed;
use store::log;
use store::recorded::RecordedEvent;

/// Most events of one batch.
const BATCH_MAX: usize = 1_000;

/// Batches of events after `mark`, each with at least one; waits for them.
pub(crate) fn batches(
    feed: Feed,
    mark: i64,
) -> impl Stream<Item = Result<Vec<Arc<RecordedEvent>>, log::Error>> {
    futures::stream::try_unfold((feed, mark), async |(mut feed, mark)| {
        let batch = feed.next(mark, BATCH_MAX).await?;
        let mark = batch.last().map_or(mark, |event| event.position);
        Ok(Some((batch, (feed, mark))))
    })
}
