//! The given/when/then vocabulary in which every rule is tested, and the examples it is tested on.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use std::fmt::Debug;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::aggregate::Decider;
use crate::delivery::{self, Band, Days, Destination, Method, Point, Table};
use crate::ids::{OrderId, PaymentId, RefundId};
use crate::money::Money;
use crate::placing::{
    Address, Customer, Line, PaymentChoice, PaymentMethod, PickupPoint, Placing, Shipping,
};
use chrono::{DateTime, Utc};
use proptest::test_runner::{Config, RngSeed};
use uuid::Uuid;

pub(crate) fn given<A: Decider>(history: &[A::Event]) -> Given<A> {
    Given { state: A::replay(history) }
}

pub(crate) struct Given<A> {
    state: A,
}

#[must_use = "an outcome that nobody checks tests nothing"]
pub(crate) struct Answer<A: Decider> {
    result: Result<Vec<A::Event>, A::Refusal>,
}

impl<A: Decider> Given<A> {
    pub(crate) fn when(self, command: A::Command) -> Answer<A> {
        Answer { result: self.state.decide(command) }
    }
}

impl<A> Answer<A>
where
    A: Decider,
    A::Event: Debug + PartialEq,
    A::Refusal: Debug + PartialEq,
{
    #[track_caller]
    pub(crate) fn then(self, expected: &[A::Event]) {
        assert_eq!(self.result.as_deref(), Ok(expected));
    }

    #[track_caller]
    pub(crate) fn then_refused(self, expected: &A::Refusal) {
        assert_eq!(self.result.as_ref(), Err(expected));
    }
}

/// Random tests keep no files: a failure prints its smallest input, and the seed that repeats it.
pub(crate) fn random() -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().build_hasher().finish());
    }
    eprintln!("to repeat: PROPTEST_RNG_SEED={}", config.rng_seed);
    config
}

pub(crate) fn order_id(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

pub(crate) fn refund_id(n: u128) -> RefundId {
    RefundId(Uuid::from_u128(n))
}

pub(crate) fn gbp(minor: i64) -> Money {
    Money { minor, currency: "GBP".parse().unwrap() }
}

pub(crate) fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn line(sku: &str, quantity: u32, unit_price_minor: i64) -> Line {
    Line {
        sku: sku.parse().unwrap(),
        name: sku.to_uppercase(),
        quantity,
        unit_price_minor,
        converted_from: None,
        vendor: None,
    }
}

pub(crate) fn by_card() -> PaymentChoice {
    PaymentChoice {
        method: PaymentMethod::CreditCard,
        gateway: "sandbox".into(),
        token: None,
        routed_by: None,
    }
}

/// Two cups and a pot for GBP 15.00, sent for GBP 3.50.
pub(crate) fn an_order() -> Placing {
    Placing {
        customer: Customer {
            name: "Ada Byron".into(),
            email: "ada@example.com".into(),
            phone: None,
        },
        customer_id: None,
        shipping_address: Address {
            line1: "12 St James's Square".into(),
            line2: None,
            city: Some("London".into()),
            postcode: None,
            country: "GB".into(),
        },
        currency: "GBP".parse().unwrap(),
        lines: vec![line("cup", 2, 450), line("pot", 1, 600)],
        shipping_minor: 350,
        shipping: None,
        discount: None,
        payment_id: PaymentId(Uuid::from_u128(9)),
        payment: by_card(),
        placed_at: noon(),
        pay_by: noon() + chrono::TimeDelta::minutes(30),
        set_aside: None,
    }
}

/// The same, to be picked up.
pub(crate) fn an_order_to_pick_up() -> Placing {
    let Point { name, address, .. } = a_point();
    let shipping = Shipping {
        method: "collect".parse().unwrap(),
        name: "Collect".into(),
        pickup_point: Some(PickupPoint { id: "station".parse().unwrap(), name, address }),
        weight_grams: Some(1_200),
        days: Some(Days { min: 1, max: 3 }),
    };
    Placing { shipping: Some(Box::new(shipping)), ..an_order() }
}

/// A kiosk at a station.
pub(crate) fn a_point() -> Point {
    Point {
        name: "Station kiosk".into(),
        address: Address { line1: "Platform 1".into(), ..an_order().shipping_address },
        opening_hours: "Mo-Su 06:00-22:00".into(),
        active: true,
    }
}

/// To addresses in Britain and France: up to 2 kg for 3.50, up to 10 kg for 7.00, for nothing from
/// 50.00 on.
pub(crate) fn by_post() -> Method {
    let band = |over_grams, up_to_grams, price_minor| Band {
        over_grams,
        up_to_grams: Some(up_to_grams),
        price_minor,
        ..Band::default()
    };
    Method {
        name: "Post".into(),
        description: "By the postman.".into(),
        to: Destination::Address,
        active: true,
        countries: vec!["FR".into(), "GB".into()],
        rates: vec![Table {
            currency: "GBP".parse().unwrap(),
            free_from_minor: Some(5_000),
            bands: vec![band(None, 2_000, 350), band(Some(2_000), 10_000, 700)],
        }],
        days: Some(Days { min: 2, max: 4 }),
    }
}

/// One of each event of delivery.
pub(crate) fn of_delivery() -> [delivery::Event; 3] {
    let collect = Method {
        to: Destination::PickupPoint { points: vec!["station".parse().unwrap()] },
        ..by_post()
    };
    [
        delivery::Event::PointDescribed {
            point_id: "station".parse().unwrap(),
            point: Box::new(a_point()),
        },
        delivery::Event::MethodDescribed {
            method_id: "collect".parse().unwrap(),
            method: Box::new(collect),
        },
        delivery::Event::MethodDescribed {
            method_id: "post".parse().unwrap(),
            method: Box::new(by_post()),
        },
    ]
}
