//! What an order may consist of, and what it comes to.

use super::*;
use crate::testing::{an_order, gbp, line};

#[test]
fn the_total_is_goods_and_shipping() {
    let placing = an_order();
    assert_eq!((placing.subtotal_minor(), placing.total_minor()), (1500, 1850));
    assert_eq!(placing.total(), gbp(1850));
}

#[test]
fn equal_articles_are_summed_in_the_order_in_which_they_first_appear() {
    let lines = vec![
        line("pot", 1, 600),
        line("cup", 2, 450),
        line("pot", 3, 500),
    ];
    let pieces = Placing { lines, ..an_order() }.pieces_by_sku();
    assert_eq!(pieces, [("pot".parse().unwrap(), 4), ("cup".parse().unwrap(), 2)]);
}

#[test]
fn a_way_to_pay_is_called_the_same_in_bodies_and_in_events() {
    for (name, method) in PaymentMethod::NAMES {
        assert_eq!(serde_json::to_value(method).unwrap(), name);
    }
}

#[test]
fn an_order_has_at_least_one_line_and_at_most_2000() {
    let of_lines = |lines: usize| Placing { lines: vec![line("cup", 1, 450); lines], ..an_order() };
    for lines in [0, LINES_MAX + 1] {
        refuses_to_place(&of_lines(lines), &Refusal::LineCount { lines });
    }
    for lines in [1, LINES_MAX] {
        places(&of_lines(lines));
    }
}

#[test]
fn a_line_has_at_least_one_piece_and_at_most_a_million() {
    let of_pieces = |pieces| Placing { lines: vec![line("cup", pieces, 1)], ..an_order() };
    for quantity in [0, QUANTITY_MAX + 1] {
        let sku = "cup".parse().unwrap();
        refuses_to_place(&of_pieces(quantity), &Refusal::Quantity { sku, quantity });
    }
    for quantity in [1, QUANTITY_MAX] {
        places(&of_pieces(quantity));
    }
}

#[test]
fn neither_a_price_nor_shipping_is_below_zero() {
    let cheap = Placing { lines: vec![line("cup", 1, 450), line("pot", 1, -1)], ..an_order() };
    refuses_to_place(&cheap, &Refusal::NegativeAmount);
    refuses_to_place(&Placing { shipping_minor: -1, ..an_order() }, &Refusal::NegativeAmount);
    places(&Placing { lines: vec![line("cup", 1, 450), line("gift", 1, 0)], ..an_order() });
}

#[test]
fn a_total_beyond_every_bound_is_refused_however_it_comes_about() {
    let one = |price| Placing { lines: vec![line("ship", 1, price)], ..an_order() };
    let free = Placing { shipping_minor: 0, ..an_order() };
    for placing in [
        one(AMOUNT_MINOR_MAX),
        one(i64::MAX),
        Placing { lines: vec![line("ship", 2, i64::MAX)], ..an_order() },
        Placing { shipping_minor: AMOUNT_MINOR_MAX + 1, ..an_order() },
        Placing {
            lines: vec![line("ship", 1, AMOUNT_MINOR_MAX), line("cup", 1, 1)],
            ..free.clone()
        },
    ] {
        refuses_to_place(&placing, &Refusal::TotalTooLarge);
    }
    places(&Placing { lines: vec![line("ship", 1, AMOUNT_MINOR_MAX)], ..free });
}

#[test]
fn an_order_that_costs_nothing_is_refused() {
    let gift = Placing { lines: vec![line("gift", 1, 0)], shipping_minor: 0, ..an_order() };
    refuses_to_place(&gift, &Refusal::NothingToPay);
}

#[test]
fn of_several_reasons_not_to_place_an_order_the_first_listed_is_reported() {
    let mut placing = an_order();
    placing.shipping_minor = -1;
    placing.lines = vec![line("pot", 1, -1); LINES_MAX];
    placing.lines.push(line("cup", 0, i64::MAX));
    refuses_to_place(&placing, &Refusal::LineCount { lines: LINES_MAX + 1 });
    placing.lines.swap_remove(0);
    let sku = "cup".parse().unwrap();
    refuses_to_place(&placing, &Refusal::Quantity { sku, quantity: 0 });
    placing.lines[0].quantity = 2;
    refuses_to_place(&placing, &Refusal::NegativeAmount);
    placing.shipping_minor = 0;
    refuses_to_place(&placing, &Refusal::NegativeAmount);
    placing.lines.truncate(1);
    refuses_to_place(&placing, &Refusal::TotalTooLarge);
}

/// Two cups and a pot for GBP 15.00 less GBP 1.50, sent for GBP 3.50.
fn discounted(amount_minor: i64, lines_minor: Vec<i64>) -> Placing {
    let discount = Discount {
        promotion: "SPRING".parse().unwrap(),
        name: "Spring".into(),
        amount_minor,
        lines_minor,
    };
    Placing { discount: Some(Box::new(discount)), ..an_order() }
}

#[test]
fn a_discount_is_taken_off_the_goods_and_not_off_the_shipping() {
    let placing = discounted(150, vec![90, 60]);
    places(&placing);
    assert_eq!((placing.subtotal_minor(), placing.discount_minor()), (1500, 150));
    assert_eq!(placing.total_minor(), 1700);
    assert_eq!(placing.total_if_any(), Some(placing.total()));
    let paid: Vec<i64> = placing
        .lines_paid()
        .map(|(_, paid_minor)| paid_minor)
        .collect();
    assert_eq!(paid, [810, 540]);
    places(&discounted(1500, vec![900, 600]));
    let free = Placing { shipping_minor: 0, ..discounted(1500, vec![900, 600]) };
    refuses_to_place(&free, &Refusal::NothingToPay);
}

#[test]
fn a_discount_adds_up_and_no_line_costs_less_than_nothing() {
    for wrong in [
        discounted(150, vec![90, 61]),
        discounted(150, vec![150]),
        discounted(150, vec![90, 60, 0]),
        discounted(901, vec![901, 0]),
        discounted(150, vec![-450, 600]),
        discounted(0, vec![0, 0]),
    ] {
        refuses_to_place(&wrong, &Refusal::DiscountDoesNotAddUp);
    }
}

fn places(placing: &Placing) {
    assert_eq!(placing.judge(), Ok(()));
}

fn refuses_to_place(placing: &Placing, refusal: &Refusal) {
    assert_eq!(placing.judge().as_ref(), Err(refusal));
}
