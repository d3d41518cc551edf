//! What is measured, a file per question.

pub(crate) mod accept;
pub(crate) mod catalogue;
pub(crate) mod flash_sale;
pub(crate) mod hot_sku;
pub(crate) mod lifecycle;
pub(crate) mod login;
pub(crate) mod overload;
pub(crate) mod read_your_write;
pub(crate) mod reading;
pub(crate) mod rebuild;
pub(crate) mod shop_front;
pub(crate) mod webhooks;
pub(crate) mod year;

use std::time::Duration;

use crate::Settings;
use crate::daybook::Daybook;
use crate::error::Error;
use crate::figure::Figure;
use crate::load::{Pace, Plan};
use crate::pgbench::{CLIENTS_MAX, Reference, Script};
use crate::runner::say;
use crate::shop::{Answered, Basket, Placing};

/// Longer than a reference needs to be steady.
const REFERENCE_MAX: Duration = Duration::from_secs(5);

/// What scenarios run on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) daybook: Daybook,
    pub(crate) reference: Option<Reference>,
    /// Orders from placed to confirmed per second, once that is known.
    pub(crate) lifecycle_rate: Option<f64>,
    /// Sets of orders placed so far: each has a name of its own.
    named: u64,
}

impl Stage {
    pub(crate) fn new(daybook: Daybook, settings: Settings) -> Self {
        Self { settings, daybook, reference: None, lifecycle_rate: None, named: 0 }
    }

    /// Measures a reference beside a round, while Daybook is idle.
    pub(crate) async fn refer(
        &self,
        figure: &mut Figure,
        script: Script,
        connections: usize,
    ) -> Result<(), Error> {
        let clients = u32::try_from(connections).map_or(CLIENTS_MAX, |it| it.min(CLIENTS_MAX));
        let against = format!("{} at {clients} clients", script.in_words());
        figure.against.clone_from(&against);
        let Some(reference) = &self.reference else {
            if figure.notes.is_empty() {
                let note = "there is no pgbench beside this Postgres, so there is no reference";
                figure.notes.push(note.to_owned());
            }
            return Ok(());
        };
        let lasting = self.settings.lasting.min(REFERENCE_MAX);
        let rate = reference.rate(script, clients, lasting).await?;
        say(&format!("  {against}: {rate:.0}/s"));
        figure.references.push(rate);
        Ok(())
    }

    /// Connections that send as fast as they are answered, for as long as a round is.
    pub(crate) fn closed(&self, connections: usize) -> Plan {
        Plan {
            connections,
            pace: Pace::Closed,
            warm_up: self.settings.warm_up,
            measured: Some(self.settings.lasting),
        }
    }

    /// Orders that no others in this log are mistaken for, also not in a log that was there before.
    pub(crate) async fn placing(
        &mut self,
        orders: Option<u64>,
        basket: Basket,
        answered: Answered,
    ) -> Result<Placing, Error> {
        let name = self.named().await?;
        Ok(Placing { name, seed: self.settings.seed, orders, basket, answered })
    }

    /// A name that nothing else in this log has, also not in a log that was there before.
    pub(crate) async fn named(&mut self) -> Result<u64, Error> {
        self.named += 1;
        let head = self.daybook.standing().await?.head.unsigned_abs();
        Ok((head << 16) + self.named)
    }

    /// Tells a round's figure.
    pub(crate) fn tell(&self, figure: &Figure) {
        if let Some(value) = figure.values.last() {
            let (round, rounds, unit) = (figure.values.len(), self.settings.rounds, figure.unit);
            say(&format!("  {}: round {round} of {rounds}: {value:.1} {unit}", figure.name));
        }
    }
}
