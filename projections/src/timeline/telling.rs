//! What an event says, in a sentence for people. Exhaustive: an event without a sentence does not
//! compile.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

use chrono::{DateTime, Utc};
use domain::attempt::NOT_REACHED;
use domain::delivery::{self, Method, Table};
use domain::event::Event;
use domain::exchange::Quote;
use domain::ids::Sku;
use domain::money::{Currency, Money};
use domain::order::{self, Failure, Shipment};
use domain::placing::Placing;
use domain::risk::Risk;
use domain::screening::Screening;
use domain::{categories, inventory, listing, payment, person, product, promotion, vendor};
use store::recorded::RecordedEvent;

/// Tells an order's events in log order; later sentences need what earlier events said.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// Most amounts are in the order's currency and do not repeat it.
    currency: Option<Currency>,
    /// The provider of each attempt, by reference.
    gateways: HashMap<String, String>,
}

impl Teller {
    pub(super) fn tell(&mut self, recorded: &RecordedEvent) -> String {
        match &recorded.event {
            Event::Order(event) => self.order(event),
            Event::Payment(event) => self.payment(event, recorded.recorded_at),
            Event::Inventory(event) => {
                inventory(event, &recorded.aggregate_id, recorded.recorded_at)
            }
            Event::Promotion(event) => promotion(event, &recorded.aggregate_id),
            Event::Delivery(event) => delivery(event),
            Event::Person(person::Event::Forgotten { reason, .. }) => {
                format!("personal data of the customer forgotten: {reason}")
            }
            Event::Vendor(event) => vendor(event),
            Event::Product(product::Event::Described(offer)) => {
                let sold = if offer.active {
                    "for sale"
                } else {
                    "not for sale"
                };
                let prices = std::iter::once(&offer.price).chain(&offer.prices);
                let prices: Vec<String> = prices.map(ToString::to_string).collect();
                let (sku, name, prices) =
                    (&recorded.aggregate_id, &offer.name, prices.join(" or "));
                format!("{sku} offered as {name} at {prices}, {sold}")
            }
            Event::Listing(event) => listing(event, &recorded.aggregate_id),
            Event::Categories(event) => categories(event),
        }
    }

    fn order(&mut self, event: &order::Event) -> String {
        match event {
            order::Event::Placed(placing) => {
                self.currency = Some(placing.currency);
                let lines = placing.lines.len();
                let noun = if lines == 1 { "line" } else { "lines" };
                let total = placing.total();
                let less = placing
                    .discount
                    .as_ref()
                    .map_or_else(String::new, |discount| {
                        let off = self.amount(discount.amount_minor);
                        format!(", {off} of it taken off by {}", discount.promotion)
                    });
                let sent = self.sent(placing);
                format!("{lines} {noun} ordered for {total}{less}{sent}{}", conversions(placing))
            }
            order::Event::Screened(screening) => screened(screening),
            order::Event::ReviewApproved { reason, .. } => {
                format!("approved after a review: {reason}")
            }
            order::Event::ReviewRefused { reason } => format!("refused after a review: {reason}"),
            order::Event::Processing => "all stock reserved, money awaited".to_owned(),
            order::Event::Confirmed { captured_minor } => {
                format!("confirmed: {} paid", self.amount(*captured_minor))
            }
            order::Event::LinesShipped(shipment) => shipped(shipment),
            order::Event::Completed => "completed".to_owned(),
            order::Event::Cancelled { reason } => format!("cancelled: {reason}"),
            order::Event::Failed(Failure::OutOfStock { skus }) => {
                let skus: Vec<&str> = skus.iter().map(Sku::as_str).collect();
                format!("failed: out of stock of {}", skus.join(", "))
            }
            order::Event::Failed(Failure::PaymentTimedOut) => "failed: not paid in time".to_owned(),
            order::Event::Failed(Failure::PaymentMismatched) => {
                "failed: another amount came in than was asked for".to_owned()
            }
            order::Event::Failed(Failure::PromotionUsedUp { promotion }) => {
                format!("failed: others had used {promotion} up")
            }
            order::Event::Failed(Failure::Refused) => "failed: refused".to_owned(),
            order::Event::Failed(Failure::ReviewTimedOut) => {
                "failed: not reviewed in time".to_owned()
            }
            order::Event::RefundRequested(refund) => {
                format!(
                    "refund of {} asked for: {}",
                    self.amount(refund.amount_minor),
                    refund.reason
                )
            }
            order::Event::Refunded(refund) => {
                format!("refund of {} done", self.amount(refund.amount_minor))
            }
            order::Event::RefundFailed { amount_minor, reason, .. } => {
                format!("refund of {} failed: {reason}", self.amount(*amount_minor))
            }
        }
    }

    /// By which method, and what of the total that costs.
    fn sent(&self, placing: &Placing) -> String {
        let Some(shipping) = &placing.shipping else {
            return String::new();
        };
        let to = shipping.pickup_point.as_ref();
        let to =
            to.map_or_else(String::new, |point| format!(", to be picked up at {}", point.name));
        format!(", {} of it for {}{to}", self.amount(placing.shipping_minor), shipping.name)
    }

    fn payment(&mut self, event: &payment::Event, at: DateTime<Utc>) -> String {
        use payment::Event as E;

        match event {
            E::Opened(terms) => {
                self.currency = Some(terms.amount.currency);
                format!("{} asked for until {}", terms.amount, time(terms.pay_by, at))
            }
            E::AttemptStarted(attempt) => {
                let gateway = attempt.choice.gateway.clone();
                self.gateways.insert(attempt.reference.clone(), gateway);
                let started =
                    format!("attempt {} started at {}", attempt.reference, attempt.choice.gateway);
                match &attempt.instead_of {
                    Some(other) => format!("{started} instead of {}", self.gateway(other)),
                    None => started,
                }
            }
            E::AttemptAccepted { reference, .. } => {
                format!("attempt {reference} taken on by {}", self.gateway(reference))
            }
            E::Captured { reference, received, assessment, .. } => {
                let risk = assessment.as_ref().and_then(|said| said.risk);
                let risk = risk.filter(|risk| *risk != Risk::Normal);
                let risk = risk.map_or_else(String::new, |risk| format!(", risk {}", risk.name()));
                format!("{received} captured by {}{risk}", self.gateway(reference))
            }
            E::CapturedAgain { reference, received, .. } => {
                format!("{received} captured once more by {}", self.gateway(reference))
            }
            E::Mismatched { reference, expected, received, .. } => {
                format!("{received} captured by {}, not {expected}", self.gateway(reference))
            }
            E::Misnamed { reference, named, .. } => {
                format!(
                    "{} was asked about {reference} and spoke of {named}",
                    self.gateway(reference)
                )
            }
            E::Declined { reference, reason } if reason == NOT_REACHED => {
                format!("{} was not reached", self.gateway(reference))
            }
            E::Declined { reference, reason } => {
                format!("declined by {}: {reason}", self.gateway(reference))
            }
            E::Voided => "no more money is asked for".to_owned(),
            E::UnmatchedReceived(money) => {
                format!("{} came in at {} unasked", money.received, money.gateway)
            }
            E::RefundRequested { amount_minor, reason, .. } => {
                format!("{} to go back: {reason}", self.amount(*amount_minor))
            }
            E::RefundAccepted { provider_reference, .. } => {
                format!("the provider has taken the refund on as {provider_reference}")
            }
            E::Refunded { amount_minor, .. } => {
                format!("{} went back", self.amount(*amount_minor))
            }
            E::RefundFailed { amount_minor, reason, .. } => {
                format!("{} could not go back: {reason}", self.amount(*amount_minor))
            }
            E::RefundReturned { amount_minor, reason, .. } => {
                format!("{} had gone back and came back: {reason}", self.amount(*amount_minor))
            }
            E::ChargedBack { reference, dispute, amount_minor, reason } => {
                let (amount, by) = (self.amount(*amount_minor), self.gateway(reference));
                format!("{amount} charged back by {by} ({dispute}): {reason}")
            }
            E::ChargebackReversed { reference, dispute, amount_minor } => {
                let (amount, by) = (self.amount(*amount_minor), self.gateway(reference));
                format!("{amount} reinstated by {by}: the dispute {dispute} was won")
            }
        }
    }

    fn amount(&self, minor: i64) -> String {
        match self.currency {
            Some(currency) => Money { minor, currency }.to_string(),
            // The order's first event has not been told: a slice, not a timeline.
            None => format!("{minor} minor units"),
        }
    }

    fn gateway(&self, reference: &str) -> &str {
        self.gateways
            .get(reference)
            .map_or("the provider", String::as_str)
    }
}

fn shipped(shipment: &Shipment) -> String {
    let lines: Vec<String> = shipment.lines.iter().map(ToString::to_string).collect();
    let noun = if lines.len() == 1 { "line" } else { "lines" };
    let by = match shipment.vendor {
        Some(_) => " by their vendor",
        None => "",
    };
    let with = shipment.carrier.as_ref();
    let with = with.map_or_else(String::new, |carrier| format!(" with {carrier}"));
    let under = shipment.tracking_number.as_ref();
    let under = under.map_or_else(String::new, |number| format!(" under {number}"));
    format!("{noun} {} shipped{by}{with}{under}", lines.join(", "))
}

fn vendor(event: &vendor::Event) -> String {
    use vendor::Event as E;

    match event {
        E::Registered(profile) => format!("{} registered as a vendor", profile.business_name),
        E::ProfileChanged(profile) => format!("profile of {} changed", profile.business_name),
        E::Activated => "activated: may sell".to_owned(),
        E::Deactivated { reason } => format!("deactivated: {reason}"),
    }
}

fn screened(screening: &Screening) -> String {
    let Screening { outcome, reasons, .. } = screening;
    let reasons: Vec<String> = reasons
        .iter()
        .map(|reason| format!("{} ({})", reason.rule, reason.detail))
        .collect();
    match reasons.as_slice() {
        [] => format!("screened: {}", outcome.name()),
        _ => format!("screened: {} by {}", outcome.name(), reasons.join(", ")),
    }
}

fn inventory(event: &inventory::Event, sku: &str, at: DateTime<Utc>) -> String {
    use inventory::Event as E;

    let pieces = |quantity: &dyn Display| format!("{quantity} × {sku}");
    match event {
        E::Received { quantity, reference } => {
            format!("{} received: {reference}", pieces(quantity))
        }
        E::Adjusted { quantity, reason } => {
            format!("{sku} adjusted by {quantity:+}: {reason}")
        }
        E::Reserved { quantity, expires_at, .. } => {
            format!("{} reserved until {}", pieces(quantity), time(*expires_at, at))
        }
        E::Released { quantity, .. } => format!("{} released", pieces(quantity)),
        E::Issued { quantity, .. } => format!("{} issued", pieces(quantity)),
        E::Restocked { quantity, .. } => format!("{} back on the shelf", pieces(quantity)),
    }
}

fn listing(event: &listing::Event, handle: &str) -> String {
    match event {
        listing::Event::Described(listing) => {
            let shown = if listing.active { "shown" } else { "hidden" };
            let (title, variants) = (&listing.title, listing.variants.len());
            format!("{handle} {shown} as {title} with {variants} variants")
        }
        listing::Event::Withdrawn => format!("{handle} withdrawn"),
    }
}

fn categories(event: &categories::Event) -> String {
    use categories::Event as E;

    let place = |parent: &Option<_>| match parent {
        Some(parent) => format!("below {parent}"),
        None => "at the top".to_owned(),
    };
    match event {
        E::Added { handle, category } => {
            format!("category {handle} added as {} {}", category.name, place(&category.parent))
        }
        E::Renamed { handle, name } => format!("category {handle} called {name}"),
        E::Moved { handle, parent } => format!("category {handle} moved {}", place(parent)),
        E::Removed { handle } => format!("category {handle} removed"),
    }
}

fn delivery(event: &delivery::Event) -> String {
    use delivery::Event as E;

    match event {
        E::MethodDescribed { method_id, method } => {
            let Method { name, active, countries, rates, .. } = method.as_ref();
            let offered = if *active { "offered" } else { "not offered" };
            let to = if countries.is_empty() {
                "everywhere".to_owned()
            } else {
                format!("to {}", countries.join(", "))
            };
            let rates: Vec<String> = rates.iter().map(rates_of).collect();
            format!(
                "shipping method {method_id} {offered} as {name} {to} at {}",
                rates.join(" or ")
            )
        }
        E::PointDescribed { point_id, point } => {
            let is = if point.active { "open" } else { "closed" };
            format!("pick-up point {point_id} described as {}, {is}", point.name)
        }
    }
}

/// From the least that it costs to the most.
fn rates_of(table: &Table) -> String {
    let prices = table.bands.iter().map(|band| band.price_minor);
    let money = |minor| Money { minor, currency: table.currency };
    let (least, most) = (prices.clone().min().unwrap_or(0), prices.max().unwrap_or(0));
    if least == most {
        money(least).to_string()
    } else {
        format!("{} to {}", money(least), money(most))
    }
}

fn promotion(event: &promotion::Event, code: &str) -> String {
    use promotion::Event as E;

    match event {
        E::Described(terms) => {
            let offered = if terms.active {
                "offered"
            } else {
                "not offered"
            };
            format!("promotion {code} {offered} as {}", terms.name)
        }
        E::UseReserved { .. } => format!("a use of promotion {code} held"),
        E::UseReleased { .. } => format!("the use of promotion {code} given back"),
        E::Used { .. } => format!("promotion {code} used"),
    }
}

/// Which rates an order's prices were converted by: each once, however many lines there are.
fn conversions(placing: &Placing) -> String {
    let converted = || {
        placing
            .lines
            .iter()
            .filter_map(|line| line.converted_from.as_deref())
    };
    let rates: BTreeSet<String> = converted()
        .flat_map(|conversion| {
            let of = conversion.price.currency;
            let from = conversion.from.iter().map(move |quote| (of, quote));
            from.chain(conversion.to.iter().map(|quote| (placing.currency, quote)))
        })
        .map(|(currency, Quote { per_eur, date, source })| {
            format!("{currency} {per_eur} to the euro of {date} ({source})")
        })
        .collect();
    if rates.is_empty() {
        return String::new();
    }
    let rates: Vec<String> = rates.into_iter().collect();
    format!(", {} of them converted at {}", converted().count(), rates.join(", "))
}

/// A time in UTC, with its day unless that is the day of the event.
fn time(time: DateTime<Utc>, at: DateTime<Utc>) -> String {
    if time.date_naive() == at.date_naive() {
        time.format("%H:%M").to_string()
    } else {
        time.format("%Y-%m-%d %H:%M").to_string()
    }
}
