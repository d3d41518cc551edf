//! Daybook stopped, its log filled, Daybook started: what a run does around a [`Filler`].

use stack::{Options, Servers, Stack};

use super::{Filler, Pattern};
use crate::daybook::keep_in_clear;
use crate::error::Error;
use crate::runner::{Runner, say};
use crate::shop;

impl Runner {
    /// Opens a shop in a data directory of its own, and takes the pattern that its log is filled by.
    /// `events_max` says over how many events the past is spread.
    pub(crate) async fn pattern(&mut self, name: &str, events_max: u64) -> Result<Pattern, Error> {
        self.close().await?;
        // A seal holds for one event alone, so that no copy of a sealed one could be read.
        keep_in_clear(&self.data_dir(name))?;
        self.open(name).await?;
        let stage = self.stage.as_mut().expect("it was just opened");
        shop::open(&stage.daybook).await?;
        Pattern::take(&stage.daybook, events_max).await
    }

    /// Fills the log up to so many events, and lets Daybook read what is new.
    pub(crate) async fn fill(
        &mut self,
        name: &str,
        pattern: &Pattern,
        events: u64,
    ) -> Result<(), Error> {
        say(&format!("filling the log to {events} events ..."));
        self.offline(name, pattern, async |filler: &mut Filler| filler.fill_to(events).await)
            .await?;
        // What the read models have written is tidied up as well, and the process that has read
        // all of it is not the one that is measured.
        self.offline(name, pattern, async |_: &mut Filler| Ok(()))
            .await
    }

    /// Works on the database alone, tidies it up, and starts Daybook again.
    async fn offline(
        &mut self,
        name: &str,
        pattern: &Pattern,
        work: impl AsyncFnOnce(&mut Filler) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.close().await?;
        let options =
            Options { servers: Servers::OnlyPostgres, ..Options::new(self.data_dir(name)) };
        let stack = Stack::start(options).await?;
        let url = stack.database_url().unwrap_or_default();
        let worked = async {
            let mut filler = Filler::new(url, pattern).await?;
            work(&mut filler).await?;
            filler.tidy().await
        };
        let worked = worked.await;
        stack.stop().await;
        worked?;
        self.open(name).await?;
        self.at_rest().await
    }

    /// Waits until everything has been read, and nobody is busy any more.
    pub(crate) async fn at_rest(&self) -> Result<(), Error> {
        let stage = self.stage.as_ref().expect("it was just opened");
        stage.daybook.settle().await?;
        stage.daybook.idle().await
    }
}
