//! A bounded window of requests: started in order, at most so many at a time. One slow order does
//! not hold up those behind it, and none starts before those that came earlier have started.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use crate::Error;
use crate::progress::Phase;
use crate::server::Server;

const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Runs all of `work`, and hands each result to `each` as it comes. The first error ends all;
/// what was under way is safe to repeat.
pub(super) async fn in_window<T, F>(
    server: &Server,
    phase: &Phase,
    concurrency: usize,
    work: impl Iterator<Item = F>,
    mut each: impl FnMut(T),
) -> Result<(), Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut results = std::pin::pin!(stream::iter(work).buffer_unordered(concurrency));
    let mut note = tokio::time::interval(NOTE_EVERY);
    loop {
        tokio::select! {
            result = results.next() => match result {
                None => return Ok(()),
                Some(result) => {
                    each(result?);
                    phase.advance(1);
                }
            },
            _ = note.tick() => phase.note_waiting(server.waiting()),
        }
    }
}
