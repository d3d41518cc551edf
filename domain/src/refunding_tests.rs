//! An order of two cups at 4.50, a pot at 6.00 and shipping at 3.50, and what goes back of it.

use super::*;
use crate::testing::{an_order, line, refund_id};

#[test]
fn a_refund_of_everything_gives_back_every_article_and_the_shipping() {
    let refund = refund(&tally(), Ask::Rest).unwrap();
    assert_eq!(parts(&refund), (1850, vec![("cup", 900, 0), ("pot", 600, 0)], 350));
    assert_eq!(refund.restock, []);
}

#[test]
fn a_refund_by_amount_is_spread_in_proportion_and_to_the_penny() {
    for (amount_minor, cup, pot, shipping_minor) in [
        (185, 90, 60, 35),
        (1, 1, 0, 0),
        (2, 1, 1, 0),
        (1000, 487, 324, 189),
        (1849, 899, 600, 350),
        (1850, 900, 600, 350),
    ] {
        let refund = refund(&tally(), Ask::Amount(amount_minor)).unwrap();
        let of = |sku: &str| {
            let part = refund.goods.iter().find(|part| part.sku.as_str() == sku);
            part.map_or(0, |part| part.amount_minor)
        };
        assert_eq!((of("cup"), of("pot"), refund.shipping_minor), (cup, pot, shipping_minor));
    }
}

#[test]
fn an_article_of_which_nothing_goes_back_is_not_named_in_a_refund_by_amount() {
    let refund = refund(&tally(), Ask::Amount(1)).unwrap();
    assert_eq!(parts(&refund), (1, vec![("cup", 1, 0)], 0));
}

#[test]
fn a_refund_by_amount_spreads_over_what_is_left() {
    let tally = after(tally(), Ask::Pieces(vec![cups(2)]));
    let refund = refund(&tally, Ask::Amount(190)).unwrap();
    assert_eq!(parts(&refund), (190, vec![("pot", 120, 0)], 70));
}

#[test]
fn pieces_go_back_at_what_they_cost_without_shipping() {
    let refund = refund(&tally(), Ask::Pieces(vec![cups(1), pots(1)])).unwrap();
    assert_eq!(parts(&refund), (1050, vec![("cup", 450, 1), ("pot", 600, 1)], 0));
}

#[test]
fn the_shipping_goes_back_beside_pieces_or_alone_where_it_is_asked_for_and_once() {
    let with_a_pot = Ask::PiecesAndShipping(vec![pots(1)]);
    let both = refund(&tally(), with_a_pot.clone()).unwrap();
    assert_eq!(parts(&both), (950, vec![("pot", 600, 1)], 350));
    let alone = refund(&tally(), Ask::Shipping).unwrap();
    assert_eq!(parts(&alone), (350, vec![], 350));
    let part_gone = after(tally(), Ask::Amount(1_000));
    assert_eq!(parts(&refund(&part_gone, Ask::Shipping).unwrap()), (161, vec![], 161));
    let gone = after(tally(), Ask::Shipping);
    assert_eq!(refund(&gone, Ask::Shipping), Err(Refusal::NoShippingToRefund));
    assert_eq!(refund(&gone, with_a_pot), Err(Refusal::NoShippingToRefund));
    let goods = refund(&gone, Ask::Rest).unwrap();
    assert_eq!(parts(&goods), (1_500, vec![("cup", 900, 0), ("pot", 600, 0)], 0));
}

#[test]
fn only_pieces_that_came_back_whole_go_back_on_the_shelf() {
    let kept = Pieces { restock: Restock::No, ..pots(1) };
    let refund = refund(&tally(), Ask::Pieces(vec![cups(2), kept])).unwrap();
    assert_eq!(refund.restock, [RestockPart { sku: "cup".parse().unwrap(), quantity: 2 }]);
}

#[test]
fn equal_articles_at_different_prices_cost_exactly_what_was_paid_once_all_are_back() {
    let mut tally =
        Tally::of(&Placing { lines: vec![line("cup", 2, 33), line("cup", 1, 34)], ..an_order() });
    for cost_minor in [33, 33, 34] {
        let refund = refund(&tally, Ask::Pieces(vec![cups(1)])).unwrap();
        assert_eq!(refund.amount_minor, cost_minor);
        tally.take(&refund);
    }
}

/// A discount is nobody's money: what was not paid does not go back.
#[test]
fn pieces_are_refunded_at_what_was_paid_for_them_after_the_discount() {
    let discount = crate::placing::Discount {
        promotion: "SPRING".parse().unwrap(),
        name: "Spring".into(),
        amount_minor: 100,
        lines_minor: vec![100, 0],
    };
    let lines = vec![line("cup", 3, 333), line("cup", 1, 334)];
    let placing = Placing { lines, discount: Some(Box::new(discount)), ..an_order() };
    let mut tally = Tally::of(&placing);
    assert_eq!(tally.left_minor(), 1233 + 350);
    let mut back = 0;
    for _ in 0..4 {
        let refund = refund(&tally, Ask::Pieces(vec![cups(1)])).unwrap();
        assert!((308..=309).contains(&refund.amount_minor), "{refund:?}");
        back += refund.amount_minor;
        tally.take(&refund);
    }
    assert_eq!(back, 1233, "all pieces cost exactly all");
}

#[test]
fn an_amount_for_pieces_goes_to_those_pieces_only() {
    let ask = Ask::AmountForPieces(105, vec![cups(1), pots(1)]);
    let refund = refund(&tally(), ask).unwrap();
    assert_eq!(parts(&refund), (105, vec![("cup", 45, 1), ("pot", 60, 1)], 0));
}

#[test]
fn an_amount_for_pieces_is_at_most_what_they_cost() {
    let ask = |amount_minor| Ask::AmountForPieces(amount_minor, vec![cups(1)]);
    assert_eq!(refund(&tally(), ask(450)).unwrap().amount_minor, 450);
    assert_eq!(refund(&tally(), ask(451)), Err(Refusal::RefundTooLarge { left_minor: 450 }));
}

#[test]
fn pieces_cost_no_more_than_earlier_refunds_left_of_their_article() {
    let tally = after(tally(), Ask::AmountForPieces(850, vec![cups(2), pots(1)]));
    assert_eq!(
        refund(&tally, Ask::Pieces(vec![pots(1)])),
        Err(Refusal::TooManyPieces { sku: "pot".parse().unwrap(), left: 0 })
    );

    let tally = after(self::tally(), Ask::Amount(1480));
    let refund = refund(&tally, Ask::Pieces(vec![cups(2)])).unwrap();
    assert_eq!(parts(&refund), (180, vec![("cup", 180, 2)], 0));
}

#[test]
fn an_article_that_was_free_has_nothing_to_give_back() {
    let lines = vec![line("cup", 2, 450), line("gift", 1, 0)];
    let tally = Tally::of(&Placing { lines, ..an_order() });
    let gift = Pieces { sku: "gift".parse().unwrap(), ..cups(1) };
    let alone = refund(&tally, Ask::Pieces(vec![gift.clone()]));
    assert_eq!(alone, Err(Refusal::RefundNotPositive));
    let together = refund(&tally, Ask::Pieces(vec![gift, cups(1)])).unwrap();
    assert_eq!(parts(&together), (450, vec![("gift", 0, 1), ("cup", 450, 1)], 0));
}

#[test]
fn a_refund_that_would_give_back_nothing_is_refused() {
    for ask in [
        Ask::Amount(0),
        Ask::Amount(-1),
        Ask::Pieces(vec![]),
        Ask::AmountForPieces(0, vec![cups(1)]),
        Ask::AmountForPieces(-1, vec![cups(1)]),
        Ask::AmountForPieces(0, vec![]),
    ] {
        assert_eq!(refund(&tally(), ask.clone()), Err(Refusal::RefundNotPositive), "{ask:?}");
    }
}

#[test]
fn a_refund_is_at_most_what_is_left() {
    let too_large = |left_minor| Err(Refusal::RefundTooLarge { left_minor });
    assert_eq!(refund(&tally(), Ask::Amount(1851)), too_large(1850));
    assert_eq!(refund(&tally(), Ask::Amount(i64::MAX)), too_large(1850));
    assert_eq!(refund(&tally(), Ask::AmountForPieces(1, vec![])), too_large(0));
    let tally = after(tally(), Ask::Amount(850));
    assert_eq!(refund(&tally, Ask::Amount(1001)), too_large(1000));
}

#[test]
fn pieces_that_were_not_ordered_cannot_be_refunded() {
    let sku: Sku = "tea".parse().unwrap();
    let tea = Pieces { sku: sku.clone(), ..cups(1) };
    assert_eq!(refund(&tally(), Ask::Pieces(vec![tea])), Err(Refusal::NotOrdered { sku }));
}

#[test]
fn an_article_is_named_once_in_a_refund() {
    let ask = Ask::Pieces(vec![cups(1), pots(1), cups(1)]);
    let sku = "cup".parse().unwrap();
    assert_eq!(refund(&tally(), ask), Err(Refusal::PiecesTwice { sku }));
}

#[test]
fn no_more_pieces_are_refunded_than_were_ordered() {
    let too_many = |left| Err(Refusal::TooManyPieces { sku: "cup".parse().unwrap(), left });
    for quantity in [0, 3, u32::MAX] {
        assert_eq!(refund(&tally(), Ask::Pieces(vec![cups(quantity)])), too_many(2));
    }
    let tally = after(tally(), Ask::AmountForPieces(1, vec![cups(1)]));
    assert_eq!(refund(&tally, Ask::Pieces(vec![cups(2)])), too_many(1));
}

#[test]
fn of_several_reasons_not_to_refund_the_first_listed_is_reported() {
    let tea = Pieces { sku: "tea".parse().unwrap(), ..cups(0) };
    let all_gone = after(tally(), Ask::Rest);
    for (tally, amount_minor, pieces, code) in [
        (&all_gone, -1, vec![tea.clone()], "nothing_to_refund"),
        (&tally(), -1, vec![tea], "not_ordered"),
        (&tally(), -1, vec![cups(1), cups(9)], "pieces_twice"),
        (&tally(), -1, vec![cups(9)], "too_many_pieces"),
        (&tally(), -1, vec![], "refund_not_positive"),
        (&tally(), 1, vec![], "refund_too_large"),
    ] {
        let refusal = refund(tally, Ask::AmountForPieces(amount_minor, pieces)).unwrap_err();
        assert_eq!(serde_json::to_value(&refusal).unwrap()["refusal"], code);
    }
}

#[test]
fn a_refund_that_failed_leaves_the_tally_as_it_was() {
    for ask in [
        Ask::Rest,
        Ask::Amount(777),
        Ask::Pieces(vec![cups(2)]),
        Ask::AmountForPieces(1, vec![pots(1)]),
    ] {
        let mut tally = tally();
        let refund = refund(&tally, ask).unwrap();
        tally.take(&refund);
        assert_eq!(tally.left_minor(), 1850 - refund.amount_minor);
        tally.give_back(&refund);
        assert_eq!(tally, self::tally());
    }
}

fn tally() -> Tally {
    Tally::of(&an_order())
}

fn refund(tally: &Tally, ask: Ask) -> Result<Refund, Refusal> {
    tally.spread(refund_id(1), ask, "broken".into())
}

fn after(mut tally: Tally, ask: Ask) -> Tally {
    let refund = refund(&tally, ask).unwrap();
    tally.take(&refund);
    tally
}

fn cups(quantity: u32) -> Pieces {
    Pieces { sku: "cup".parse().unwrap(), quantity, restock: Restock::Shelf }
}

fn pots(quantity: u32) -> Pieces {
    Pieces { sku: "pot".parse().unwrap(), ..cups(quantity) }
}

fn parts(refund: &Refund) -> (i64, Vec<(&str, i64, u32)>, i64) {
    let goods = refund.goods.iter();
    let goods = goods.map(|part| (part.sku.as_str(), part.amount_minor, part.quantity));
    (refund.amount_minor, goods.collect(), refund.shipping_minor)
}
