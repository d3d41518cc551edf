//! Whole checkouts in a little world: shoppers, staff, providers and the clock do what they like,
//! when they like, and in the end goods and money must be where they belong.
//!
//! Facts of one aggregate arrive in their order and intents to one aggregate are carried out in
//! theirs; everything else happens in any order that a script of random numbers comes up with.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::aggregate::Decider as _;
use crate::ids::{CustomerId, OrderId};
use crate::inventory::{self, Inventory};
use crate::order::{self, Order};
use crate::payment::{self, Attempt, Outcome, Payment, Terms};
use crate::placing::{Discount, Line};
use crate::promotion::{self, Promotion, Reduction};
use crate::refunding::{Ask, Pieces, Restock};
use crate::testing::{an_order, by_card, gbp, line, noon, order_id, random, refund_id};

#[path = "checkout_world_at_rest.rs"]
mod at_rest;
#[path = "checkout_world_people.rs"]
mod people;

/// Two orders compete for the stock; what is left of it differs from world to world.
const ORDERS: u128 = 2;
/// A world that has not come to rest by then never will.
const STEPS_MAX: usize = 10_000;

proptest! {
    #![proptest_config(random())]

    #[test]
    fn whatever_happens_goods_and_money_end_up_where_they_belong(
        cups in 0_u64..12,
        pots in 0_u64..6,
        screened in [0_u8..4, 0_u8..4],
        promised: [bool; 2],
        script in prop::collection::vec(any::<(u8, u8, u8)>(), 1..150),
    ) {
        let mut world = World::open(cups, pots, screened, promised);
        for (who, which, how) in script {
            world.step(who, usize::from(which), usize::from(how));
        }
        world.come_to_rest();
        world.is_in_order();
    }
}

/// Where facts come from and intents go to; each keeps its own order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Order,
    Payment,
    Stock(Sku),
    Promotion,
    /// Refusals are heard at once, whatever the log still has to tell.
    Answers,
}

#[derive(Debug, Clone)]
enum Action {
    Hear(Place),
    CarryOut(Place),
    ProviderRefunds(RefundId),
}

#[derive(Debug)]
struct Trade {
    id: OrderId,
    placing: Placing,
    order: Order,
    payment: Payment,
    checkout: Checkout,
    facts: BTreeMap<Place, VecDeque<Fact>>,
    intents: BTreeMap<Place, VecDeque<Intent>>,
    references: Vec<String>,
    pending_refunds: Vec<RefundId>,
    came_in: Vec<i64>,
    given_back: Vec<i64>,
    /// How often money that never belonged to the order was sent back once more.
    given_back_again: u32,
    refund_failures: usize,
    issued: BTreeMap<Sku, u64>,
    /// Of the promotion.
    uses: u32,
}

#[derive(Debug)]
struct World {
    stock: BTreeMap<Sku, Inventory>,
    expected_on_hand: BTreeMap<Sku, u64>,
    /// For one order: where both were promised it, one has to do without.
    promotion: Promotion,
    trades: Vec<Trade>,
    names: u128,
}

impl World {
    fn open(cups: u64, pots: u64, screened: [u8; 2], promised: [bool; 2]) -> Self {
        let received = |quantity| {
            Inventory::replay(&[inventory::Event::Received { quantity, reference: "first".into() }])
        };
        let amounts = BTreeMap::from([
            ("cup".parse().unwrap(), cups),
            ("pot".parse().unwrap(), pots),
        ]);
        let mut world = Self {
            stock: amounts
                .iter()
                .map(|(sku, quantity): (&Sku, &u64)| (sku.clone(), received(*quantity)))
                .collect(),
            expected_on_hand: amounts,
            promotion: Promotion::replay(&[promotion::Event::Described(for_one_order())]),
            trades: Vec::new(),
            names: 0,
        };
        for (n, (screened, promised)) in (1..=ORDERS).zip(screened.into_iter().zip(promised)) {
            let discount = promised.then(a_pound_off);
            world
                .trades
                .push(Trade::open(order_id(n), screened, discount));
        }
        world
    }

    fn step(&mut self, who: u8, which: usize, how: usize) {
        let count = self.trades.len();
        let under_way = self.under_way();
        match who {
            // Two steps in three carry on what has begun.
            0..170 => {
                if let Some(next) = which.checked_rem(under_way.len()) {
                    let (trade, action) = under_way[next].clone();
                    self.act(trade, action, how);
                }
            }
            170..215 => self.trades[which % count].provider_says(how),
            215..228 => self.trades[which % count].shopper_tries_again(),
            228..232 => self.trades[which % count].shopper_cancels(how),
            232..236 => self.trades[which % count].staff_review(how),
            236..240 => self.trades[which % count].staff_complete(),
            240..250 => self.trades[which % count].staff_refund(how),
            250..=255 => self.trades[which % count].deadline_passes(),
        }
    }

    fn come_to_rest(&mut self) {
        for turn in 0..STEPS_MAX {
            let under_way = self.under_way();
            if let Some(next) = turn.checked_rem(under_way.len()) {
                let (trade, action) = under_way[next].clone();
                self.act(trade, action, 0);
            } else if self
                .trades
                .iter()
                .any(|trade| trade.checkout.deadline().is_some())
            {
                self.trades.iter_mut().for_each(Trade::deadline_passes);
            } else {
                return;
            }
        }
        panic!("the world does not come to rest: {self:#?}");
    }

    /// All that goes on without anybody's decision.
    fn under_way(&self) -> Vec<(usize, Action)> {
        let of = |(index, trade): (usize, &Trade)| {
            let heard = trade.facts.iter().filter(|(_, queue)| !queue.is_empty());
            let asked = trade.intents.iter().filter(|(_, queue)| !queue.is_empty());
            heard
                .map(|(place, _)| Action::Hear(place.clone()))
                .chain(asked.map(|(place, _)| Action::CarryOut(place.clone())))
                .chain(
                    trade
                        .pending_refunds
                        .iter()
                        .map(|id| Action::ProviderRefunds(*id)),
                )
                .map(|action| (index, action))
                .collect::<Vec<_>>()
        };
        self.trades.iter().enumerate().flat_map(of).collect()
    }

    fn act(&mut self, trade: usize, action: Action, how: usize) {
        match action {
            Action::Hear(place) => self.trades[trade].hear(&place),
            Action::CarryOut(place) => self.carry_out(trade, &place),
            Action::ProviderRefunds(id) => self.trades[trade].provider_refunds(id, how),
        }
    }

    fn carry_out(&mut self, trade: usize, place: &Place) {
        let trade = &mut self.trades[trade];
        let intent = trade.intents.get_mut(place).unwrap().pop_front().unwrap();
        let order_id = trade.id;
        let mut ask = |sku: &Sku, command| {
            let inventory = self.stock.get_mut(sku).unwrap();
            let events = inventory.decide(command)?;
            for event in events {
                inventory.evolve(&event);
            }
            assert!(inventory.reserved() <= inventory.on_hand());
            Ok(())
        };
        let done = "the process asks stock only for what it may";
        match intent {
            Intent::ReserveStock { sku, quantity, expires_at } => {
                let command = inventory::Command::Reserve { order_id, quantity, expires_at };
                let fact = match ask(&sku, command) {
                    Ok(()) => Fact::StockReserved { sku },
                    Err(inventory::Refusal::InsufficientStock { .. }) => Fact::StockShort { sku },
                    Err(other) => panic!("{done}: {other}"),
                };
                trade.tell(place.clone(), fact);
            }
            Intent::ReleaseStock { sku } => {
                ask(&sku, inventory::Command::Release { order_id }).expect(done);
            }
            Intent::IssueStock { sku } => {
                ask(&sku, inventory::Command::Issue { order_id }).expect(done);
                let pieces: BTreeMap<Sku, u64> =
                    trade.placing.pieces_by_sku().into_iter().collect();
                *self.expected_on_hand.get_mut(&sku).unwrap() -= pieces[&sku];
                let before = trade.issued.insert(sku.clone(), pieces[&sku]);
                assert_eq!(before, None, "goods leave the house once");
            }
            // Nobody here ships a part.
            Intent::IssuePart { sku, .. } => panic!("a part of {sku} leaves"),
            Intent::RestockStock { refund_id, part } => {
                let quantity = u64::from(part.quantity);
                ask(&part.sku, inventory::Command::Restock { order_id, refund_id, quantity })
                    .expect(done);
                assert!(trade.issued.contains_key(&part.sku), "only what left can come back");
                *self.expected_on_hand.get_mut(&part.sku).unwrap() += quantity;
            }
            Intent::ReservePromotion { customer_id, .. } => {
                trade.reserve_use(&mut self.promotion, customer_id);
            }
            Intent::ReleasePromotion { .. } => trade.release_use(&mut self.promotion),
            Intent::SettlePromotion { .. } => trade.settle_use(&mut self.promotion),
            Intent::ProcessOrder => trade.ask_order_on(order::Command::Process),
            Intent::ConfirmOrder { captured, assessment } => {
                trade.ask_order_on(match assessment {
                    None => order::Command::Confirm { captured },
                    Some(said) => {
                        let screening = people::screened(people::outcome_of(&said));
                        order::Command::ConfirmScreened { captured, screening }
                    }
                });
            }
            Intent::EndReview => trade.end_review(),
            Intent::FailOrder(failure) => trade.ask_order_on(order::Command::Fail(failure)),
            Intent::SettleRefund { refund_id } => {
                let settled = trade.ask_order(order::Command::SettleRefund { refund_id });
                settled.expect("the order knows of the refund");
            }
            Intent::FailRefund { refund_id, reason } => {
                let failed = trade.ask_order(order::Command::FailRefund { refund_id, reason });
                failed.expect("the order knows of the refund");
            }
            Intent::OpenPayment(brief) => trade.open_payment(&brief),
            Intent::VoidPayment(_) => match trade.ask_payment(payment::Command::Void) {
                Ok(()) | Err(payment::Refusal::AlreadyCaptured) => {}
                Err(other) => panic!("a payment is voided once: {other}"),
            },
            Intent::RefundPayment { refund_id: name, reference, amount_minor, reason, .. } => {
                let refund_id = name.unwrap_or_else(|| {
                    self.names += 1;
                    refund_id(1_000 + self.names)
                });
                if name.is_none() {
                    trade.checkout.name_own_refund(refund_id);
                    trade.given_back.push(amount_minor);
                }
                let refund =
                    payment::Command::Refund { refund_id, amount_minor, reference, reason };
                trade
                    .ask_payment(refund)
                    .expect("nothing is given back that did not come in");
            }
            Intent::RefundAgain { failed, reason, .. } => {
                self.names += 1;
                let refund_id = refund_id(1_000 + self.names);
                trade.checkout.name_own_refund(refund_id);
                let again = payment::Command::RefundAgain { refund_id, failed, reason };
                trade
                    .ask_payment(again)
                    .expect("what could not go back is still there");
                trade.given_back_again += 1;
            }
            Intent::CallStaff { .. } => {}
        }
    }
}

/// A pound off, once.
fn for_one_order() -> promotion::Terms {
    promotion::Terms {
        name: "A pound off".into(),
        reduction: Reduction::Amount { amounts: vec![gbp(100)] },
        automatic: false,
        listed: false,
        active: true,
        starts_at: None,
        ends_at: None,
        uses_max: Some(1),
        uses_per_customer_max: None,
        minimum: vec![],
        skus: vec![],
    }
}

fn a_pound_off() -> Discount {
    Discount {
        promotion: "POUND".parse().unwrap(),
        name: "A pound off".into(),
        amount_minor: 100,
        lines_minor: vec![31, 41, 28],
    }
}

fn told(promotion: &mut Promotion, command: promotion::Command) -> Result<(), promotion::Refusal> {
    for event in promotion.decide(command)? {
        promotion.evolve(&event);
        assert!(promotion.taken() <= 1, "no more than was offered");
    }
    Ok(())
}

impl Trade {
    fn open(id: OrderId, screened: u8, discount: Option<Discount>) -> Self {
        let lines: Vec<Line> = vec![
            line("cup", 1, 450),
            line("pot", 1, 600),
            line("cup", 1, 400),
        ];
        let mut trade = Self {
            id,
            placing: Placing { lines, discount: discount.map(Box::new), ..an_order() },
            order: Order::default(),
            payment: Payment::default(),
            checkout: Checkout::default(),
            facts: BTreeMap::new(),
            intents: BTreeMap::new(),
            references: Vec::new(),
            pending_refunds: Vec::new(),
            came_in: Vec::new(),
            given_back: Vec::new(),
            refund_failures: 0,
            given_back_again: 0,
            issued: BTreeMap::new(),
            uses: 0,
        };
        let placing = Box::new(trade.placing.clone());
        let place = match people::outcome(screened) {
            None => order::Command::Place(placing),
            Some(outcome) => order::Command::PlaceScreened(placing, people::screened(outcome)),
        };
        trade.ask_order(place).unwrap();
        trade
    }

    fn reserve_use(&mut self, promotion: &mut Promotion, customer_id: Option<CustomerId>) {
        let reserve = promotion::Command::Reserve { order_id: self.id, customer_id };
        let fact = match told(promotion, reserve) {
            Ok(()) => Fact::PromotionReserved,
            Err(promotion::Refusal::UsedUp) => Fact::PromotionUsedUp,
            Err(other) => panic!("an order asks for its promotion once: {other}"),
        };
        self.tell(Place::Promotion, fact);
    }

    fn release_use(&self, promotion: &mut Promotion) {
        let release = promotion::Command::Release { order_id: self.id };
        told(promotion, release).expect("what is given back was held");
    }

    fn settle_use(&mut self, promotion: &mut Promotion) {
        let settle = promotion::Command::Settle { order_id: self.id };
        told(promotion, settle).expect("what is used up was held");
        self.uses += 1;
    }

    fn tell(&mut self, place: Place, fact: Fact) {
        self.facts.entry(place).or_default().push_back(fact);
    }

    fn hear(&mut self, place: &Place) {
        let fact = self.facts.get_mut(place).unwrap().pop_front().unwrap();
        self.react(fact);
    }

    fn react(&mut self, fact: Fact) {
        let intents = self
            .checkout
            .react(fact)
            .unwrap_or_else(|error| panic!("{error}"));
        for intent in intents {
            let to = match &intent {
                Intent::ReserveStock { sku, .. }
                | Intent::ReleaseStock { sku }
                | Intent::IssueStock { sku }
                | Intent::IssuePart { sku, .. } => Place::Stock(sku.clone()),
                Intent::RestockStock { part, .. } => Place::Stock(part.sku.clone()),
                Intent::ReservePromotion { .. }
                | Intent::ReleasePromotion { .. }
                | Intent::SettlePromotion { .. } => Place::Promotion,
                Intent::OpenPayment(_)
                | Intent::VoidPayment(_)
                | Intent::RefundPayment { .. }
                | Intent::RefundAgain { .. } => Place::Payment,
                Intent::ProcessOrder
                | Intent::ConfirmOrder { .. }
                | Intent::FailOrder(_)
                | Intent::EndReview
                | Intent::SettleRefund { .. }
                | Intent::FailRefund { .. }
                | Intent::CallStaff { .. } => Place::Order,
            };
            self.intents.entry(to).or_default().push_back(intent);
        }
    }

    fn ask_order(&mut self, command: order::Command) -> Result<(), order::Refusal> {
        let is_screening = matches!(command, order::Command::ConfirmScreened { .. });
        let is_end_of_review = matches!(command, order::Command::Fail(Failure::ReviewTimedOut));
        for event in self.order.decide(command)? {
            let was_held = self.order.review() == order::Review::Held;
            self.order.evolve(&event);
            let fact = match event {
                order::Event::Placed(placing) => Fact::OrderPlaced(placing),
                order::Event::Processing => Fact::OrderProcessing,
                order::Event::Confirmed { captured_minor } => {
                    assert_eq!(captured_minor, self.placing.total_minor());
                    assert!(!was_held, "nothing is confirmed before staff have looked");
                    Fact::OrderConfirmed
                }
                order::Event::Completed => Fact::OrderCompleted,
                order::Event::Cancelled { .. } => Fact::OrderCancelled,
                order::Event::RefundRequested(refund) => Fact::RefundRequested(refund),
                order::Event::Screened(screening) => match screening.review_by {
                    Some(review_by) if is_screening => Fact::OrderHeld { review_by },
                    _ => continue,
                },
                order::Event::ReviewApproved { pay_by, .. } => Fact::OrderApproved { pay_by },
                order::Event::ReviewRefused { .. } => Fact::OrderRefused,
                order::Event::Failed(_) if is_screening || is_end_of_review => Fact::OrderRefused,
                order::Event::Failed(_)
                | order::Event::Refunded(_)
                | order::Event::LinesShipped(_) => continue,
                order::Event::RefundFailed { .. } => {
                    self.refund_failures += 1;
                    continue;
                }
            };
            self.tell(Place::Order, fact);
        }
        Ok(())
    }

    /// An intent of the process; a refusal means that the order has moved on.
    fn ask_order_on(&mut self, command: order::Command) {
        if self.ask_order(command).is_err() {
            self.tell(Place::Answers, Fact::OrderMovedOn);
        }
    }

    fn ask_payment(&mut self, command: payment::Command) -> Result<(), payment::Refusal> {
        for event in self.payment.decide(command)? {
            self.payment.evolve(&event);
            assert!(0 <= self.payment.refundable_minor());
            let fact = match event {
                payment::Event::Captured { received, assessment, .. } => {
                    self.came_in.push(received.minor);
                    Fact::PaymentCaptured { received, assessment }
                }
                payment::Event::CapturedAgain { reference, received, .. } => {
                    self.came_in.push(received.minor);
                    Fact::PaymentCapturedAgain { reference, received }
                }
                payment::Event::Mismatched { reference, expected, received, .. } => {
                    if received.currency == expected.currency && 0 < received.minor {
                        self.came_in.push(received.minor);
                    }
                    Fact::PaymentMismatched { reference, expected, received }
                }
                payment::Event::Misnamed { reference, named, .. } => {
                    Fact::PaymentMisnamed { reference, named }
                }
                payment::Event::Declined { .. } => Fact::PaymentDeclined,
                payment::Event::Refunded { refund_id, .. } => Fact::PaymentRefunded { refund_id },
                payment::Event::RefundFailed { refund_id, reason, .. } => {
                    Fact::PaymentRefundFailed { refund_id, reason }
                }
                payment::Event::RefundReturned { refund_id, reason, .. } => {
                    Fact::PaymentRefundReturned { refund_id, reason }
                }
                payment::Event::ChargedBack { dispute, amount_minor, reason, .. } => {
                    Fact::PaymentChargedBack { dispute, amount_minor, reason }
                }
                payment::Event::RefundRequested { refund_id, .. } => {
                    self.pending_refunds.push(refund_id);
                    continue;
                }
                payment::Event::Opened(_)
                | payment::Event::AttemptStarted(_)
                | payment::Event::AttemptAccepted { .. }
                | payment::Event::RefundAccepted { .. }
                | payment::Event::UnmatchedReceived(_)
                | payment::Event::ChargebackReversed { .. }
                | payment::Event::Voided => continue,
            };
            self.tell(Place::Payment, fact);
        }
        Ok(())
    }
}
