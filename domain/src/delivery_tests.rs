//! Methods and their rates: what they ask at the edges of their bands, and what makes no sense.

use super::*;
use crate::money::Money;
use crate::order;
use crate::testing::{a_point, an_order, an_order_to_pick_up, by_post, given, of_delivery};

fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

fn money(minor: i64, code: &str) -> Money {
    Money { minor, currency: code.parse().unwrap() }
}

fn describe(method: Method) -> Command {
    Command::DescribeMethod { method_id: handle("post"), method: Box::new(method) }
}

fn described(method: Method) -> Event {
    Event::MethodDescribed { method_id: handle("post"), method: Box::new(method) }
}

fn of_goods(minor: i64, grams: Option<u64>) -> Parcel<'static> {
    Parcel { country: "GB", goods: money(minor, "GBP"), grams }
}

fn with_bands(bands: Vec<Band>) -> Method {
    let mut method = by_post();
    method.rates[0].bands = bands;
    method
}

#[test]
fn a_price_changes_at_the_edges_of_the_bands() {
    let post = by_post();
    for (minor, grams, asked) in [
        (1_500, Some(0), Ok(350)),
        (1_500, Some(2_000), Ok(350)),
        (1_500, Some(2_001), Ok(700)),
        (1_500, Some(10_000), Ok(700)),
        (1_500, Some(10_001), Err(Unavailable::Weight)),
        (4_999, Some(2_001), Ok(700)),
        (5_000, Some(2_001), Ok(0)),
        // For nothing is not for any weight.
        (5_000, Some(10_001), Err(Unavailable::Weight)),
        (5_000, None, Err(Unavailable::WeightUnknown)),
        (1_500, None, Err(Unavailable::WeightUnknown)),
    ] {
        assert_eq!(post.price_of(of_goods(minor, grams)), asked, "{minor} {grams:?}");
    }
}

#[test]
fn bands_by_total_need_no_weight() {
    let mut method = with_bands(vec![
        Band { below_minor: Some(2_000), price_minor: 395, ..Band::default() },
        Band {
            from_minor: Some(2_000),
            below_minor: Some(9_000),
            price_minor: 195,
            ..Band::default()
        },
    ]);
    method.rates[0].free_from_minor = None;
    for (minor, asked) in [
        (0, Ok(395)),
        (1_999, Ok(395)),
        (2_000, Ok(195)),
        (8_999, Ok(195)),
        (9_000, Err(Unavailable::Total)),
    ] {
        assert_eq!(method.price_of(of_goods(minor, None)), asked, "{minor}");
        assert_eq!(method.price_of(of_goods(minor, Some(7))), asked, "{minor}");
    }
    // What is free from a total on need not say so in a band.
    method.rates[0].free_from_minor = Some(9_000);
    assert_eq!(method.price_of(of_goods(9_000, None)), Ok(0));
}

#[test]
fn a_method_says_why_it_does_not_carry_something() {
    let post = by_post();
    let parcel = of_goods(1_500, Some(500));
    let off = Method { active: false, ..by_post() };
    assert_eq!(off.price_of(parcel), Err(Unavailable::Inactive));
    let to_france = Parcel { country: "FR", ..parcel };
    assert_eq!(post.price_of(to_france), Ok(350));
    let to_japan = Parcel { country: "JP", ..parcel };
    assert_eq!(post.price_of(to_japan), Err(Unavailable::Country));
    let everywhere = Method { countries: vec![], ..by_post() };
    assert_eq!(everywhere.price_of(to_japan), Ok(350));
    let in_euros = Parcel { goods: money(1_500, "EUR"), ..parcel };
    assert_eq!(post.price_of(in_euros), Err(Unavailable::Currency));
}

#[test]
fn a_change_of_rates_is_a_fact_and_no_change_is_none() {
    given::<Delivery>(&[])
        .when(describe(by_post()))
        .then(&[described(by_post())]);
    given::<Delivery>(&[described(by_post())])
        .when(describe(by_post()))
        .then(&[]);
    let dearer =
        with_bands(vec![Band { up_to_grams: Some(9), price_minor: 400, ..Band::default() }]);
    given::<Delivery>(&[described(by_post())])
        .when(describe(dearer.clone()))
        .then(&[described(dearer)]);
    // In whatever order they are given, countries and tables say the same.
    let mut two = by_post();
    two.rates
        .insert(0, Table { currency: "EUR".parse().unwrap(), ..two.rates[0].clone() });
    let mut mixed = two.clone();
    mixed.rates.reverse();
    mixed.countries = vec!["GB".into(), "FR".into(), "GB".into()];
    given::<Delivery>(&[])
        .when(describe(mixed))
        .then(&[described(two)]);
}

#[test]
fn a_pickup_method_names_points_that_are_known() {
    let [point, collect, _] = of_delivery();
    let Event::MethodDescribed { method, .. } = &collect else {
        panic!("the second describes a method");
    };
    let ask = || Command::DescribeMethod { method_id: handle("collect"), method: method.clone() };
    given::<Delivery>(&[])
        .when(ask())
        .then_refused(&Refusal::UnknownPoint { point_id: handle("station") });
    given::<Delivery>(std::slice::from_ref(&point))
        .when(ask())
        .then(std::slice::from_ref(&collect));
    let nowhere = Method { to: Destination::PickupPoint { points: vec![] }, ..by_post() };
    given::<Delivery>(&[point])
        .when(describe(nowhere))
        .then_refused(&Refusal::PointCount { points: 0 });
}

#[test]
fn a_point_that_is_as_it_was_is_no_fact() {
    let ask = |point| Command::DescribePoint { point_id: handle("station"), point };
    let [known, ..] = of_delivery();
    given::<Delivery>(std::slice::from_ref(&known))
        .when(ask(Box::new(a_point())))
        .then(&[]);
    let closed = Point { active: false, ..a_point() };
    given::<Delivery>(&[known])
        .when(ask(Box::new(closed.clone())))
        .then(&[Event::PointDescribed { point_id: handle("station"), point: Box::new(closed) }]);
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    let gbp = "GBP".parse().unwrap();
    let refused = |method: Method, refusal: &Refusal| {
        given::<Delivery>(&[])
            .when(describe(method))
            .then_refused(refusal);
    };
    let weighs = |over_grams, up_to_grams| Band { over_grams, up_to_grams, ..Band::default() };
    let costs = |from_minor, below_minor| Band { from_minor, below_minor, ..Band::default() };
    refused(Method { rates: vec![], ..by_post() }, &Refusal::TableCount { tables: 0 });
    let twice = vec![by_post().rates[0].clone(); 2];
    refused(Method { rates: twice, ..by_post() }, &Refusal::TwoTables { currency: gbp });
    refused(with_bands(vec![]), &Refusal::BandCount);
    refused(with_bands(vec![Band::default(); BANDS_MAX + 1]), &Refusal::BandCount);
    for price_minor in [-1, AMOUNT_MINOR_MAX + 1] {
        let bands = vec![Band { price_minor, ..Band::default() }];
        refused(with_bands(bands), &Refusal::PriceOutOfBounds { currency: gbp, band: 1 });
    }
    for empty in [
        weighs(Some(10), Some(10)),
        weighs(Some(10), Some(9)),
        weighs(None, Some(BOUND_GRAMS_MAX + 1)),
        costs(Some(10), Some(10)),
        costs(None, Some(0)),
        costs(Some(-1), None),
    ] {
        let bands = vec![weighs(None, Some(1)), empty];
        refused(with_bands(bands), &Refusal::EmptyBand { currency: gbp, band: 2 });
    }
    for (one, other) in [
        (Band::default(), Band::default()),
        (weighs(None, Some(10)), weighs(Some(9), None)),
        (weighs(None, Some(10)), costs(None, Some(10))),
        (costs(Some(5), None), costs(None, Some(6))),
    ] {
        let refusal = Refusal::BandsOverlap { currency: gbp, band: 1, other: 2 };
        refused(with_bands(vec![one, other]), &refusal);
    }
    for from in [0, -1, AMOUNT_MINOR_MAX + 1] {
        let mut method = by_post();
        method.rates[0].free_from_minor = Some(from);
        refused(method, &Refusal::FreeFromOutOfBounds { currency: gbp });
    }
    for days in [Days { min: 3, max: 2 }, Days { min: 0, max: DAYS_MAX + 1 }] {
        refused(Method { days: Some(days), ..by_post() }, &Refusal::DaysOutOfBounds);
    }
    let countries = (0..=COUNTRIES_MAX).map(|n| n.to_string()).collect();
    refused(
        Method { countries, ..by_post() },
        &Refusal::TooManyCountries { countries: COUNTRIES_MAX + 1 },
    );
    // Side by side they are fine.
    let side_by_side = vec![
        Band { below_minor: Some(9), ..weighs(None, Some(10)) },
        Band { from_minor: Some(9), ..weighs(None, Some(10)) },
        weighs(Some(10), None),
    ];
    let method = with_bands(side_by_side);
    given::<Delivery>(&[])
        .when(describe(method.clone()))
        .then(&[described(method)]);
}

#[test]
fn there_are_so_many_methods_and_points_and_no_more() {
    let methods: Vec<Event> = (0..METHODS_MAX)
        .map(|n| Event::MethodDescribed {
            method_id: handle(&format!("m-{n}")),
            method: Box::new(by_post()),
        })
        .collect();
    given::<Delivery>(&methods)
        .when(describe(by_post()))
        .then_refused(&Refusal::TooManyMethods);
    let points: Vec<Event> = (0..POINTS_MAX)
        .map(|n| Event::PointDescribed {
            point_id: handle(&format!("p-{n}")),
            point: Box::new(a_point()),
        })
        .collect();
    given::<Delivery>(&points)
        .when(Command::DescribePoint { point_id: handle("one-more"), point: Box::new(a_point()) })
        .then_refused(&Refusal::TooManyPoints);
}

/// Without a method, an order is written as it was before there were any.
#[test]
fn an_order_says_how_it_is_sent_and_nothing_where_nobody_said() {
    let form = |placing| serde_json::to_value(order::Event::Placed(Box::new(placing))).unwrap();
    assert_eq!(form(an_order()).get("shipping"), None);
    assert_eq!(
        form(an_order_to_pick_up())["shipping"],
        serde_json::json!({
            "method": "collect", "name": "Collect",
            "pickup_point": {
                "id": "station", "name": "Station kiosk",
                "address": {"line1": "Platform 1", "city": "London", "country": "GB"},
            },
            "weight_grams": 1200, "days": {"min": 1, "max": 3},
        })
    );
}

#[test]
fn what_the_log_holds_of_delivery() {
    let [point, _, post] = of_delivery();
    assert_eq!(
        serde_json::to_value(point).unwrap(),
        serde_json::json!({
            "type": "delivery.point_described", "point_id": "station",
            "point": {
                "name": "Station kiosk", "opening_hours": "Mo-Su 06:00-22:00", "active": true,
                "address": {"line1": "Platform 1", "city": "London", "country": "GB"},
            },
        })
    );
    assert_eq!(
        serde_json::to_value(post).unwrap(),
        serde_json::json!({
            "type": "delivery.method_described", "method_id": "post",
            "method": {
                "name": "Post", "description": "By the postman.", "to": {"kind": "address"},
                "active": true, "countries": ["FR", "GB"], "days": {"min": 2, "max": 4},
                "rates": [{"currency": "GBP", "free_from_minor": 5000, "bands": [
                    {"up_to_grams": 2000, "price_minor": 350},
                    {"over_grams": 2000, "up_to_grams": 10000, "price_minor": 700},
                ]}],
            },
        })
    );
}
