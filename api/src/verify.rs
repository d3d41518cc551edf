//! `daybook verify`: reads the whole log and checks what must always hold, with arithmetic of its
//! own, so that a mistake in the rules cannot hide itself.
//!
//! 1. Positions are 1..N without a hole, and the head is N.
//! 2. Every stream's sequences are 1..n without a hole; every event can be read.
//! 3. `0 ≤ reserved ≤ on hand` for every SKU at every position.
//! 4. `refunded + pending ≤ captured` for every payment at every position, no refund is asked for of
//!    what was charged back before it, and no order is confirmed without exactly its total captured by
//!    its payment, or while staff have to look at it.
//! 5. Every payment belongs to exactly one order at every position, but for money that nobody asked
//!    for. Money is kept for goods only: once the checkout process has heard of it, what came in for an
//!    order is what is due for its goods, or is on its way back. In between it is on its way to one or
//!    the other, by the process's next step.
//! 6. Every converted price is what its frozen rates make of it, rounded half up.
//! 7. The read model of stock, once it has reached N, equals this fold.
//! 8. Every snapshot equals the fold of its stream, as the rules apply it.

mod belonging;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use domain::event::Event;
use domain::exchange::Quote;
use domain::ids::{OrderId, RefundId};
use domain::money::{Currency, Money};
use domain::placing::Line;
use domain::screening::Outcome;
use domain::{inventory, order, payment, promotion};
use sqlx::PgPool;
use store::command::ExecuteError;
use store::comparing;
use store::log;
use store::recorded::RecordedEvent;
use uuid::Uuid;

use self::belonging::Belongings;

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the log.
    pub position: i64,
    /// What is wrong, as a sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position {}: {}", self.position, self.what)
    }
}

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Events read.
    pub events: i64,
    /// Streams among them.
    pub streams: usize,
    /// SKUs whose stock was followed.
    pub skus: usize,
    /// Payments whose money was followed.
    pub payments: usize,
    /// Orders that were confirmed.
    pub confirmed: usize,
    /// Snapshots that were compared with their streams.
    pub snapshots: usize,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read at all.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// Postgres does not answer.
    #[error("the database cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// Streams cannot be read.
    #[error("the snapshots cannot be compared: {0}")]
    Journal(#[from] ExecuteError),
    /// It can, and something is wrong.
    #[error("{0}")]
    Wrong(Finding),
}

/// Checks the log up to where its head is now, telling the position now and then.
pub async fn verify(pool: &PgPool, mut progress: impl FnMut(i64, i64)) -> Result<Checked, Error> {
    // Before the head: whatever follows from what had been heard by then is at or below it.
    let heard_to: Option<i64> =
        sqlx::query_scalar("select position from worker_marks where worker = $1")
            .bind(workers::checkout::NAME)
            .fetch_optional(pool)
            .await?;
    let head = log::head(pool).await?;
    let mut fold = Fold::default();
    while fold.position < head {
        let page = match log::after(pool, fold.position, log::PAGE_MAX).await {
            Err(log::Error::Record(bad)) => {
                let what = bad.to_string();
                return Err(Error::Wrong(Finding { position: fold.position + 1, what }));
            }
            page => page?,
        };
        if page.is_empty() {
            return Err(fold.wrong(format!("the head is at {head}, but the log ends here")));
        }
        for event in page.iter().filter(|event| event.position <= head) {
            fold.take(event)?;
        }
        progress(fold.position, head);
    }
    let beyond: Option<i64> = sqlx::query_scalar(
        "select min(position) from events, (select position as head from log_head) as log \
         where position > head",
    )
    .fetch_one(pool)
    .await?;
    if let Some(position) = beyond {
        let what = "this event lies beyond the head of the log".to_owned();
        return Err(Error::Wrong(Finding { position, what }));
    }
    if let Some(finding) = fold.belongings.kept_without_goods(heard_to.unwrap_or(0)) {
        return Err(Error::Wrong(finding));
    }
    fold.compare_stock(pool).await?;
    let snapshots = comparing::compare(pool, 1).await?;
    if let Some(wrong) = snapshots.differences.into_iter().next() {
        let comparing::Difference { position, what, .. } = wrong;
        return Err(Error::Wrong(Finding { position, what }));
    }
    Ok(Checked {
        events: fold.position,
        streams: fold.sequences.len(),
        skus: fold.stock.len(),
        payments: fold.money.len(),
        confirmed: fold.confirmed,
        snapshots: snapshots.equal,
    })
}

/// Checks what must hold of the whole history of an order with its payment, or of a SKU.
pub fn history(events: &[Arc<RecordedEvent>]) -> Result<(), Finding> {
    let mut fold = Fold::default();
    for event in events {
        if let Err(Error::Wrong(finding)) = fold.follow(event) {
            return Err(finding);
        }
    }
    Ok(())
}

/// Of a promotion.
#[derive(Debug, Default)]
struct Uses {
    max: Option<u32>,
    taken: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stock {
    on_hand: i128,
    reserved: i128,
}

#[derive(Debug, Clone, Default)]
struct Account {
    captured: i128,
    pending: HashMap<RefundId, i128>,
    refunded: i128,
    /// By dispute.
    charged_back: HashMap<String, i128>,
    exact: Option<Money>,
}

impl Account {
    fn gone(&self) -> i128 {
        self.refunded + self.pending.values().sum::<i128>()
    }
}

#[derive(Default)]
struct Fold {
    position: i64,
    sequences: HashMap<(String, String), i64>,
    stock: HashMap<String, Stock>,
    promotions: HashMap<String, Uses>,
    money: HashMap<Uuid, Account>,
    totals: HashMap<OrderId, (Money, Uuid)>,
    held: HashSet<OrderId>,
    belongings: Belongings,
    confirmed: usize,
}

impl Fold {
    fn wrong(&self, what: String) -> Error {
        Error::Wrong(Finding { position: self.position, what })
    }

    fn take(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        let expected = self.position + 1;
        if event.position != expected {
            self.position = expected;
            return Err(self.wrong(format!("missing; the next event is at {}", event.position)));
        }
        self.position = expected;
        let stream = (event.aggregate_type.clone(), event.aggregate_id.clone());
        let sequence = self.sequences.entry(stream).or_default();
        *sequence += 1;
        if event.sequence != *sequence {
            let (of, id, found) = (&event.aggregate_type, &event.aggregate_id, event.sequence);
            let what = format!("{of} {id} has sequence {found} where {sequence} was expected");
            return Err(self.wrong(what));
        }
        self.follow(event)
    }

    /// What must hold of stock and money, whichever events are left out in between.
    fn follow(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        self.position = event.position;
        match &event.event {
            Event::Inventory(of) => self.take_stock(&event.aggregate_id, of),
            Event::Payment(of) => match event.aggregate_id.parse() {
                Ok(payment_id) => self.take_payment(payment_id, of),
                Err(_) => Err(self.wrong(format!("payment {} is no UUID", event.aggregate_id))),
            },
            Event::Order(of) => self.take_order(OrderId(event.metadata.correlation_id), of),
            Event::Product(_)
            | Event::Person(_)
            | Event::Listing(_)
            | Event::Categories(_)
            | Event::Vendor(_)
            | Event::Delivery(_) => Ok(()),
            Event::Promotion(of) => self.take_promotion(&event.aggregate_id, of),
        }
    }

    fn take_promotion(&mut self, code: &str, event: &promotion::Event) -> Result<(), Error> {
        use promotion::Event as E;

        let uses = self.promotions.entry(code.to_owned()).or_default();
        match event {
            E::Described(terms) => uses.max = terms.uses_max,
            E::UseReserved { .. } => uses.taken += 1,
            E::UseReleased { .. } => uses.taken -= 1,
            E::Used { .. } => {}
        }
        // A limit that is lowered takes nothing back from whoever was first.
        let is_granted = matches!(event, E::UseReserved { .. });
        let is_beyond = uses.max.is_some_and(|max| i64::from(max) < uses.taken);
        if 0 <= uses.taken && !(is_granted && is_beyond) {
            return Ok(());
        }
        let what = format!("promotion {code}: {} uses of {:?}", uses.taken, uses.max);
        Err(self.wrong(what))
    }

    fn take_stock(&mut self, sku: &str, event: &inventory::Event) -> Result<(), Error> {
        use inventory::Event as E;
        let (on_hand, reserved) = match event {
            E::Received { quantity, .. } | E::Restocked { quantity, .. } => {
                (i128::from(*quantity), 0)
            }
            E::Adjusted { quantity, .. } => (i128::from(*quantity), 0),
            E::Reserved { quantity, .. } => (0, i128::from(*quantity)),
            E::Released { quantity, .. } => (0, -i128::from(*quantity)),
            E::Issued { quantity, .. } => (-i128::from(*quantity), -i128::from(*quantity)),
        };
        let stock = self.stock.entry(sku.to_owned()).or_default();
        stock.on_hand += on_hand;
        stock.reserved += reserved;
        if 0 <= stock.reserved && stock.reserved <= stock.on_hand {
            return Ok(());
        }
        let what = format!("{sku}: {} reserved of {} on hand", stock.reserved, stock.on_hand);
        Err(self.wrong(what))
    }

    fn take_payment(&mut self, payment_id: Uuid, event: &payment::Event) -> Result<(), Error> {
        use payment::Event as E;
        let belongs = self
            .belongings
            .take_payment(self.position, payment_id, event);
        belongs.map_err(|what| self.wrong(what))?;
        let account = self.money.entry(payment_id).or_default();
        match event {
            E::Captured { received, .. } => {
                account.captured += i128::from(received.minor);
                account.exact = Some(*received);
            }
            E::CapturedAgain { received, .. } => account.captured += i128::from(received.minor),
            // Never exact: no order may be confirmed by it.
            E::UnmatchedReceived(money) => account.captured += i128::from(money.received.minor),
            E::Mismatched { received, expected, .. } if received.currency == expected.currency => {
                // Whatever a provider means by an amount below zero, no money came in.
                account.captured += i128::from(received.minor.max(0));
            }
            E::RefundRequested { refund_id, amount_minor, .. } => {
                // Of what was charged back before, nothing is paid out again. What is charged back
                // afterwards, nobody could know.
                let taken: i128 = account.charged_back.values().sum();
                let left = account.captured - account.gone() - taken;
                if 0 < taken && left < i128::from(*amount_minor) {
                    let what = format!(
                        "payment {payment_id}: {amount_minor} to go back where {left} is left, with \
                         {taken} charged back"
                    );
                    return Err(self.wrong(what));
                }
                account
                    .pending
                    .insert(*refund_id, i128::from(*amount_minor));
            }
            E::ChargedBack { dispute, amount_minor, .. } => {
                account
                    .charged_back
                    .insert(dispute.clone(), i128::from(*amount_minor));
            }
            E::ChargebackReversed { dispute, .. } => _ = account.charged_back.remove(dispute),
            E::Refunded { refund_id, .. } => {
                account.refunded += account.pending.remove(refund_id).unwrap_or(i128::MAX / 2);
            }
            E::RefundReturned { amount_minor, .. } => {
                account.refunded -= i128::from(*amount_minor);
            }
            E::RefundFailed { refund_id, .. } => _ = account.pending.remove(refund_id),
            E::Mismatched { .. }
            | E::Opened(_)
            | E::AttemptStarted(_)
            | E::AttemptAccepted { .. }
            | E::Misnamed { .. }
            | E::RefundAccepted { .. }
            | E::Declined { .. }
            | E::Voided => {}
        }
        let gone = account.gone();
        if gone <= account.captured {
            return Ok(());
        }
        let what =
            format!("payment {payment_id}: {gone} refunded of {} captured", account.captured);
        Err(self.wrong(what))
    }

    fn take_order(&mut self, order_id: OrderId, event: &order::Event) -> Result<(), Error> {
        let belongs = self.belongings.take_order(self.position, order_id, event);
        belongs.map_err(|what| self.wrong(what))?;
        match event {
            order::Event::Placed(placing) => {
                if let Some(line) = placing
                    .lines
                    .iter()
                    .find(|line| !is_converted(line, placing.currency))
                {
                    let what = format!(
                        "order {order_id}: the price of {} is not what its rates make of it",
                        line.sku
                    );
                    return Err(self.wrong(what));
                }
                self.totals
                    .insert(order_id, (placing.total(), placing.payment_id.0));
            }
            order::Event::Confirmed { .. } => {
                self.confirmed += 1;
                let placed = self.totals.get(&order_id);
                let captured = placed.and_then(|(_, id)| self.money.get(id)?.exact);
                let total = placed.map(|(total, _)| *total);
                if total.is_none() || captured != total {
                    let what = format!("order {order_id} is confirmed without its total captured");
                    return Err(self.wrong(what));
                }
                if self.held.contains(&order_id) {
                    let what = format!("order {order_id} is confirmed before staff looked at it");
                    return Err(self.wrong(what));
                }
            }
            order::Event::Screened(screening) => {
                if screening.outcome == Outcome::Review {
                    self.held.insert(order_id);
                }
            }
            order::Event::ReviewApproved { .. } => _ = self.held.remove(&order_id),
            order::Event::ReviewRefused { .. }
            | order::Event::Processing
            | order::Event::LinesShipped(_)
            | order::Event::Completed
            | order::Event::Cancelled { .. }
            | order::Event::Failed(_)
            | order::Event::RefundRequested(_)
            | order::Event::Refunded(_)
            | order::Event::RefundFailed { .. } => {}
        }
        Ok(())
    }

    /// The read model may be behind or ahead while the shop goes on; then there is nothing to say.
    async fn compare_stock(&self, pool: &PgPool) -> Result<(), Error> {
        let mut transaction = pool.begin().await?;
        sqlx::query("set transaction isolation level repeatable read")
            .execute(&mut *transaction)
            .await?;
        let mark: Option<i64> =
            sqlx::query_scalar("select position from read.marks where name = 'stock'")
                .fetch_optional(&mut *transaction)
                .await?;
        if mark != Some(self.position) {
            return Ok(());
        }
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as("select sku, on_hand, reserved from read.stock")
                .fetch_all(&mut *transaction)
                .await?;
        if rows.len() != self.stock.len() {
            return Err(self.wrong(format!(
                "the read model of stock has {} SKUs, the log {}",
                rows.len(),
                self.stock.len()
            )));
        }
        for (sku, on_hand, reserved) in rows {
            let stock = self.stock.get(&sku).copied().unwrap_or_default();
            if (i128::from(on_hand), i128::from(reserved)) != (stock.on_hand, stock.reserved) {
                return Err(self.wrong(format!("the read model of stock is wrong about {sku}")));
            }
        }
        Ok(())
    }
}

/// Whether a line's price is within half a unit of its conversion, a half counting upwards.
fn is_converted(line: &Line, currency: Currency) -> bool {
    let Some(conversion) = &line.converted_from else {
        return true;
    };
    let rate = |quote: &Option<Quote>| {
        let text = quote
            .as_ref()
            .map_or_else(|| "1".to_owned(), |quote| quote.per_eur.to_string());
        let decimals = text
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        let digits: Option<i128> = text.replace('.', "").parse().ok();
        Some((digits?, u32::try_from(decimals).ok()?))
    };
    let exact = || -> Option<bool> {
        let (from, to) = (rate(&conversion.from)?, rate(&conversion.to)?);
        let of = conversion.price;
        let dividend = i128::from(of.minor)
            .checked_mul(to.0)?
            .checked_mul(10_i128.checked_pow(from.1 + currency.decimals())?)?;
        let divisor = from
            .0
            .checked_mul(10_i128.checked_pow(to.1 + of.currency.decimals())?)?;
        let twice_off = i128::from(line.unit_price_minor)
            .checked_mul(divisor)?
            .checked_sub(dividend)?
            .checked_mul(2)?;
        Some(-divisor < twice_off && twice_off <= divisor)
    };
    exact() == Some(true)
}

#[cfg(test)]
mod tests {
    use domain::exchange::Conversion;

    use super::*;

    #[test]
    fn a_refund_of_what_was_charged_back_is_found() {
        use payment::Event as E;

        let reference = || "theirs".to_owned();
        let received = Money { minor: 1000, currency: "GBP".parse().unwrap() };
        let came_in = E::UnmatchedReceived(payment::Unmatched {
            gateway: "stripe".to_owned(),
            reference: reference(),
            provider_reference: "pi_1".to_owned(),
            received,
            told_at: chrono::DateTime::UNIX_EPOCH,
        });
        let (dispute, reason) = (|| "dp_1".to_owned(), || "fraudulent".to_owned());
        let charged_back = E::ChargedBack {
            reference: reference(),
            dispute: dispute(),
            amount_minor: 400,
            reason: reason(),
        };
        let won =
            E::ChargebackReversed { reference: reference(), dispute: dispute(), amount_minor: 400 };
        let going = |n: u128, amount_minor| E::RefundRequested {
            refund_id: RefundId(Uuid::from_u128(n)),
            amount_minor,
            reference: Some(reference()),
            reason: reason(),
        };
        let is_sound = |events: &[&E]| {
            let (mut fold, payment_id) = (Fold::default(), Uuid::from_u128(7));
            let mut taken = events
                .iter()
                .map(|event| fold.take_payment(payment_id, event));
            taken.all(|taken| taken.is_ok())
        };
        assert!(is_sound(&[&came_in, &charged_back, &going(1, 600)]));
        assert!(!is_sound(&[&came_in, &charged_back, &going(1, 600), &going(2, 1)]));
        assert!(!is_sound(&[&came_in, &charged_back, &going(1, 601)]));
        assert!(is_sound(&[&came_in, &charged_back, &won, &going(1, 1000)]));
        // Nobody could know.
        assert!(is_sound(&[&came_in, &going(1, 1000), &charged_back]));
    }

    #[test]
    fn a_price_that_its_rates_do_not_make_is_found() {
        let quote = |per_eur: &str| Quote {
            per_eur: per_eur.parse().unwrap(),
            date: "2026-11-26".parse().unwrap(),
            source: "ECB".to_owned(),
        };
        let line = |minor: i64, code: &str, from: Option<Quote>, to: Option<Quote>, is: i64| {
            let price = Money { minor, currency: code.parse().unwrap() };
            Line {
                sku: "cup".parse().unwrap(),
                name: "Cup".to_owned(),
                quantity: 1,
                unit_price_minor: is,
                converted_from: Some(Box::new(Conversion { price, from, to })),
                vendor: None,
            }
        };
        for (minor, code, from, to, into, is) in [
            (1000, "EUR", None, Some(quote("1.08335")), "USD", 1083),
            (1000, "EUR", None, Some(quote("1.0835")), "USD", 1084),
            (1999, "GBP", Some(quote("0.8412")), Some(quote("164.35")), "JPY", 3906),
            (2023, "KWD", Some(quote("0.3324")), None, "EUR", 609),
        ] {
            let is_sound = |is| {
                let line = line(minor, code, from.clone(), to.clone(), is);
                is_converted(&line, into.parse().unwrap())
            };
            let sound: Vec<i64> = (is - 2..=is + 2).filter(|is| is_sound(*is)).collect();
            assert_eq!(sound, [is], "{code} {minor} in {into}");
        }
    }
}
