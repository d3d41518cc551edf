//! What can become of an order, as stories of commands, told one by one or all at once.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use domain::delivery::Days;
use domain::exchange::{Conversion, Quote};
use domain::ids::{OrderId, PaymentId, RefundId, VendorId};
use domain::inventory::Command as Stock;
use domain::money::Money;
use domain::order::{Command as Ask, Dispatch, Failure, Shipper, Which};
use domain::payment::{Attempt, Command as Pay, Outcome, Terms};
use domain::placing::{
    Address, Customer, Line, PaymentChoice, PaymentMethod, PickupPoint, Placing, Shipping,
};
use domain::product::Description;
use domain::refunding::{self, Pieces, Restock};
use uuid::Uuid;

use super::shop::{Shop, opening};

type Step = Box<dyn FnOnce(&mut Shop)>;

/// How an order ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Waiting,
    Completed,
    OutOfStock,
    CancelledUnpaid,
    CancelledPaid,
    PaidLate,
    PaidAtSecondTry,
    PaidTwice,
    Mismatched,
    MismatchedCurrency,
    RefundedInPart,
    RefundedInFull,
    RefundedByPieces,
    RefundedAtSecondTry,
}

pub(super) const ENDINGS: [Ending; 14] = [
    Ending::Waiting,
    Ending::Completed,
    Ending::OutOfStock,
    Ending::CancelledUnpaid,
    Ending::CancelledPaid,
    Ending::PaidLate,
    Ending::PaidAtSecondTry,
    Ending::PaidTwice,
    Ending::Mismatched,
    Ending::MismatchedCurrency,
    Ending::RefundedInPart,
    Ending::RefundedInFull,
    Ending::RefundedByPieces,
    Ending::RefundedAtSecondTry,
];

pub(super) const SKUS: [&str; 4] = ["85123A", "22423", "BANK CHARGES", "pot"];

/// A shop with goods on its shelves, before its first order.
pub(super) fn stocked() -> Shop {
    let mut shop = Shop::default();
    for (sku, minor) in SKUS.into_iter().zip([255, 1_275, 1, 600]) {
        let price = Money { minor, currency: "GBP".parse().unwrap() };
        let name = format!("A {sku}");
        let prices = vec![Money { minor, currency: "JPY".parse().unwrap() }];
        let description = Description {
            name,
            price,
            active: sku != "pot",
            prices,
            vendor: None,
            weight_grams: None,
        };
        shop.describe(sku, description);
        let reference = "delivery note 1".to_owned();
        shop.stock(sku, Stock::Receive { quantity: 1_000_000, reference });
    }
    shop.stock("22423", Stock::Adjust { quantity: -3, reason: "broken".to_owned() });
    shop
}

/// A shop in which every ending happened `rounds` times, all orders at once.
pub(super) fn busy(rounds: u32) -> Shop {
    let mut shop = stocked();
    tell_all(&mut shop, 0, rounds);
    shop
}

/// Goes on with orders numbered from `first` times the number of endings.
pub(super) fn tell_all(shop: &mut Shop, first: u32, rounds: u32) {
    let mut stories: Vec<VecDeque<Step>> = (first..first + rounds)
        .flat_map(|round| {
            (0..)
                .zip(ENDINGS)
                .map(move |(n, ending)| (round * 14 + n, ending))
        })
        .map(|(n, ending)| story(&Tale::of(n), ending))
        .collect();
    // The seed: stories take turns in an order that looks like chance and is always the same.
    let mut chance = 20_260_301_u64;
    while !stories.is_empty() {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let count = u64::try_from(stories.len()).unwrap();
        let turn = usize::try_from((chance >> 33) % count).unwrap();
        match stories[turn].pop_front() {
            Some(step) => step(shop),
            None => drop(stories.swap_remove(turn)),
        }
    }
}

/// One order's names and contents.
#[derive(Clone)]
pub(super) struct Tale {
    pub(super) n: u32,
    pub(super) order: OrderId,
    pub(super) payment: PaymentId,
    pub(super) placing: Placing,
}

impl Tale {
    pub(super) fn of(n: u32) -> Self {
        let id = u128::from(n) + 1;
        let (order, payment) =
            (OrderId(Uuid::from_u128(id << 64)), PaymentId(Uuid::from_u128((id << 64) + 1)));
        let country = ["GB", "FR", "EU"][n as usize % 3];
        let currency = ["GBP", "EUR", "JPY"][n as usize / 3 % 3].parse().unwrap();
        let line = |index: usize, quantity| Line {
            sku: SKUS[(n as usize + index) % SKUS.len()].parse().unwrap(),
            name: format!("line {index}"),
            quantity,
            unit_price_minor: 100 + i64::from(n % 7) * 33,
            converted_from: (index == 1).then(|| Box::new(conversion(n))),
            vendor: (index == 1 && n.is_multiple_of(2)).then(|| VendorId(Uuid::from_u128(5))),
        };
        let placing = Placing {
            customer: Customer {
                name: format!("Customer {}", n % 5),
                email: format!("Customer.{}@example.com", n % 5),
                phone: None,
            },
            customer_id: None,
            shipping_address: Address {
                line1: "12 St James's Square\0".into(),
                line2: None,
                city: Some("London".into()),
                postcode: None,
                country: country.into(),
            },
            currency,
            // The first SKU is on two lines.
            lines: vec![line(0, 3), line(1, 1 + n % 4), line(0, 2)],
            shipping_minor: i64::from(n % 2) * 350,
            // Of those that are asked for something, every third is picked up.
            shipping: (n % 2 == 1).then(|| Box::new(shipping(n))),
            discount: None,
            payment_id: payment,
            payment: by(PaymentMethod::CreditCard),
            placed_at: placed_at(n),
            pay_by: opening() + TimeDelta::days(2),
            set_aside: None,
        };
        Self { n, order, payment, placing }
    }

    pub(super) fn reference(&self, attempt: u32) -> String {
        format!("ATTEMPT{:08}{attempt}", self.n)
    }

    fn refund(&self, number: u128) -> RefundId {
        RefundId(Uuid::from_u128(self.order.0.as_u128() + 0x100 + number))
    }
}

/// Three orders at the same instant, and several days apart now and then.
pub(super) fn placed_at(n: u32) -> DateTime<Utc> {
    opening() + TimeDelta::hours(i64::from(n / 3) * 7)
}

fn by(method: PaymentMethod) -> PaymentChoice {
    PaymentChoice { method, gateway: "sandbox".into(), token: Some("ok".into()), routed_by: None }
}

/// The steps of one order.
fn story(tale: &Tale, ending: Ending) -> VecDeque<Step> {
    let mut steps = Steps { tale: tale.clone(), steps: VecDeque::new() };
    steps.order(Ask::Place(Box::new(tale.placing.clone())));
    match ending {
        Ending::OutOfStock => steps.run_out(),
        Ending::Waiting => steps.reserve(),
        Ending::CancelledUnpaid => {
            steps.ask_for_money();
            steps.cancel();
            steps.pay(Pay::Void);
            steps.release();
        }
        Ending::Completed => {
            steps.get_paid();
            steps.complete();
        }
        Ending::CancelledPaid => {
            steps.get_paid();
            steps.cancel();
            steps.release();
            let total = tale.placing.total_minor();
            steps.pay_back(0, total);
        }
        Ending::PaidLate => steps.be_paid_late(),
        Ending::PaidAtSecondTry | Ending::PaidTwice => steps.be_declined_first(ending),
        Ending::Mismatched | Ending::MismatchedCurrency => steps.mismatch(ending),
        Ending::RefundedInPart => {
            steps.get_paid();
            steps.refund(0, refunding::Ask::Amount(123));
            steps.pay_back(0, 123);
        }
        Ending::RefundedInFull => {
            steps.get_paid();
            steps.complete();
            let total = tale.placing.total_minor();
            steps.refund(0, refunding::Ask::Amount(100));
            steps.refund(1, refunding::Ask::Rest);
            steps.pay_back(1, total - 100);
            steps.pay_back(0, 100);
        }
        Ending::RefundedByPieces => steps.refund_pieces(),
        Ending::RefundedAtSecondTry => steps.refund_twice(),
    }
    steps.steps
}

struct Steps {
    tale: Tale,
    steps: VecDeque<Step>,
}

impl Steps {
    fn order(&mut self, command: Ask) {
        let id = self.tale.order;
        self.steps
            .push_back(Box::new(move |shop| shop.order(id, command)));
    }

    fn pay(&mut self, command: Pay) {
        let (id, order) = (self.tale.payment, self.tale.order);
        self.steps
            .push_back(Box::new(move |shop| shop.payment(id, order, command)));
    }

    fn stock(&mut self, sku: &str, command: Stock) {
        let sku = sku.to_owned();
        self.steps
            .push_back(Box::new(move |shop| shop.stock(&sku, command)));
    }

    fn reserve(&mut self) {
        let Tale { order: order_id, placing, .. } = self.tale.clone();
        for (sku, quantity) in placing.pieces_by_sku() {
            let expires_at = placing.pay_by;
            self.stock(sku.as_str(), Stock::Reserve { order_id, quantity, expires_at });
        }
    }

    fn release(&mut self) {
        let Tale { order: order_id, placing, .. } = self.tale.clone();
        for (sku, _) in placing.pieces_by_sku() {
            self.stock(sku.as_str(), Stock::Release { order_id });
        }
    }

    fn run_out(&mut self) {
        let Tale { order: order_id, placing, .. } = self.tale.clone();
        let pieces = placing.pieces_by_sku();
        let (sku, quantity) = pieces[0].clone();
        let expires_at = placing.pay_by;
        self.stock(sku.as_str(), Stock::Reserve { order_id, quantity, expires_at });
        self.stock(sku.as_str(), Stock::Release { order_id });
        self.order(Ask::Fail(Failure::OutOfStock { skus: vec![pieces[1].0.clone()] }));
    }

    fn cancel(&mut self) {
        let refund_id = self.tale.refund(0);
        self.order(Ask::Cancel { reason: "changed my mind".into(), refund_id });
    }

    fn attempt(&self, number: u32, method: PaymentMethod) -> Attempt {
        let started_at = opening() + TimeDelta::minutes(1);
        Attempt {
            reference: self.tale.reference(number),
            choice: by(method),
            started_at,
            instead_of: None,
        }
    }

    fn ask_for_money(&mut self) {
        self.reserve();
        self.order(Ask::Process);
        let Tale { order: order_id, placing, .. } = &self.tale;
        let terms = Terms { order_id: *order_id, amount: placing.total(), pay_by: placing.pay_by };
        let attempt = self.attempt(1, PaymentMethod::CreditCard);
        self.pay(Pay::Open { terms, attempt });
    }

    fn answer(&mut self, attempt: u32, outcome: Outcome) {
        let reference = self.tale.reference(attempt);
        self.pay(Pay::RecordOutcome { reference, outcome });
    }

    fn capture(&mut self, attempt: u32, received: Money) {
        let provider_reference = format!("px-{}-{attempt}", self.tale.n);
        self.answer(attempt, Outcome::Captured { received, provider_reference, assessment: None });
    }

    fn get_paid(&mut self) {
        let total = self.tale.placing.total();
        self.ask_for_money();
        self.answer(1, Outcome::Accepted { next_step: None, provider_reference: "px".into() });
        self.capture(1, total);
        self.order(Ask::Confirm { captured: total });
    }

    fn complete(&mut self) {
        if let Some(vendor) = self.tale.placing.lines.iter().find_map(|line| line.vendor) {
            self.order(Ask::Ship(Dispatch {
                by: Shipper::Vendor(vendor),
                which: Which::Left,
                carrier: Some("Royal Mail".into()),
                tracking_number: None,
            }));
        }
        self.order(Ask::Complete);
        let Tale { order: order_id, placing, .. } = self.tale.clone();
        for (sku, _) in placing.pieces_by_sku() {
            self.stock(sku.as_str(), Stock::Issue { order_id });
        }
    }

    fn be_paid_late(&mut self) {
        let total = self.tale.placing.total();
        self.ask_for_money();
        self.order(Ask::Fail(Failure::PaymentTimedOut));
        self.pay(Pay::Void);
        self.release();
        self.capture(1, total);
        self.reserve();
        self.order(Ask::Confirm { captured: total });
    }

    fn be_declined_first(&mut self, ending: Ending) {
        let total = self.tale.placing.total();
        self.ask_for_money();
        self.answer(1, Outcome::Declined { reason: "no funds".into() });
        let attempt = self.attempt(2, PaymentMethod::Paypal);
        self.pay(Pay::StartAttempt { attempt });
        self.capture(2, total);
        self.order(Ask::Confirm { captured: total });
        if ending == Ending::PaidTwice {
            self.capture(1, total);
            self.pay_back_unasked(total.minor);
        }
    }

    fn mismatch(&mut self, ending: Ending) {
        let mut received = self.tale.placing.total();
        received.minor -= 1;
        if ending == Ending::MismatchedCurrency {
            received.currency = "KWD".parse().unwrap();
        }
        self.ask_for_money();
        self.capture(1, received);
        self.order(Ask::Fail(Failure::PaymentMismatched));
        self.pay(Pay::Void);
        self.release();
        if ending == Ending::Mismatched {
            self.pay_back_unasked(received.minor);
        }
    }

    fn refund(&mut self, number: u128, ask: refunding::Ask) {
        let refund_id = self.tale.refund(number);
        self.order(Ask::Refund { refund_id, ask, reason: "broken".into() });
    }

    /// The payment's side of an order's refund, and the order hearing of it.
    fn pay_back(&mut self, number: u128, amount_minor: i64) {
        let refund_id = self.tale.refund(number);
        self.pay(Pay::Refund { refund_id, amount_minor, reference: None, reason: "broken".into() });
        self.pay(Pay::SettleRefund { refund_id, provider_reference: "rx".into() });
        self.order(Ask::SettleRefund { refund_id });
    }

    /// Money that never belonged to the order.
    fn pay_back_unasked(&mut self, amount_minor: i64) {
        let refund_id = self.tale.refund(9);
        self.pay(Pay::Refund {
            refund_id,
            amount_minor,
            reference: None,
            reason: "not ours".into(),
        });
        self.pay(Pay::SettleRefund { refund_id, provider_reference: "rx".into() });
    }

    fn refund_pieces(&mut self) {
        self.get_paid();
        self.complete();
        let Tale { order: order_id, placing, .. } = self.tale.clone();
        let sku = placing.lines[0].sku.clone();
        let pieces = vec![Pieces { sku: sku.clone(), quantity: 2, restock: Restock::Shelf }];
        self.refund(0, refunding::Ask::Pieces(pieces));
        self.pay_back(0, placing.lines[0].unit_price_minor * 2);
        let refund_id = self.tale.refund(0);
        self.stock(sku.as_str(), Stock::Restock { order_id, refund_id, quantity: 2 });
    }

    fn refund_twice(&mut self) {
        self.get_paid();
        let refund_id = self.tale.refund(0);
        let (amount_minor, reason) = (77, "account closed".to_owned());
        self.refund(0, refunding::Ask::Amount(amount_minor));
        self.pay(Pay::Refund { refund_id, amount_minor, reference: None, reason: "broken".into() });
        self.pay(Pay::FailRefund { refund_id, reason: reason.clone() });
        self.order(Ask::FailRefund { refund_id, reason });
        self.refund(1, refunding::Ask::Amount(amount_minor));
        self.pay_back(1, amount_minor);
    }
}

pub(super) fn described(name: &str) -> Description {
    let price = Money { minor: 100, currency: "GBP".parse().unwrap() };
    Description {
        name: name.to_owned(),
        price,
        active: true,
        prices: vec![],
        vendor: None,
        weight_grams: None,
    }
}

/// Prices of some currency, whatever they came to.
fn conversion(n: u32) -> Conversion {
    let quote = |per_eur: &str| Quote {
        per_eur: per_eur.parse().unwrap(),
        date: "2010-11-30".parse().unwrap(),
        source: "ECB".to_owned(),
    };
    let price = Money { minor: 1 + i64::from(n), currency: "USD".parse().unwrap() };
    let to = n.is_multiple_of(2).then(|| quote("0.8412"));
    Conversion { price, from: Some(quote("1.3022")), to }
}

/// How orders are sent that are asked for something.
fn shipping(n: u32) -> Shipping {
    let address = Address {
        line1: "Platform 1\0".into(),
        line2: None,
        city: None,
        postcode: None,
        country: "GB".into(),
    };
    let point = PickupPoint { id: "station".parse().unwrap(), name: "Kiosk".into(), address };
    Shipping {
        method: "post".parse().unwrap(),
        name: "Post".into(),
        pickup_point: n.is_multiple_of(3).then_some(point),
        weight_grams: (!n.is_multiple_of(5)).then_some(u64::from(n) * 100),
        days: (!n.is_multiple_of(7)).then_some(Days { min: 1, max: 3 }),
    }
}
