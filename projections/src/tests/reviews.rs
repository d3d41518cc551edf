//! Orders that staff have to look at: how they are listed, and to whom their reasons are shown.

use chrono::TimeDelta;
use domain::order::{Command, Review, Verdict};
use domain::screening::{Decision, Outcome, Reason, Screening};

use super::shop::{Shop, opening};
use super::stories::{Tale, busy};
use super::world::World;
use crate::orders::{self, Audience, Filter, OrderView, Status};
use crate::timeline;

const RULE: &str = "many orders";

fn screened(outcome: Outcome) -> Screening {
    let detail = "4 orders by the same e-mail address within 3600 s".to_owned();
    let reasons = vec![Reason { rule: RULE.to_owned(), outcome, detail }];
    Screening::new(Decision { outcome, reasons }, opening() + TimeDelta::days(9))
}

fn place(shop: &mut Shop, n: u32, outcome: Outcome) -> Tale {
    let tale = Tale::of(n);
    let placing = Box::new(tale.placing.clone());
    shop.order(tale.order, Command::PlaceScreened(placing, screened(outcome)));
    tale
}

/// Among many others: accepted, held, approved, refused by staff, refused at once.
fn a_shop() -> (Shop, Vec<(Tale, Review, Status)>) {
    let mut shop = busy(1);
    let accepted = place(&mut shop, 100, Outcome::Accept);
    let held = place(&mut shop, 101, Outcome::Review);
    let approved = place(&mut shop, 102, Outcome::Review);
    let pay_by = opening() + TimeDelta::days(3);
    let verdict = Verdict::Approve { pay_by };
    shop.order(approved.order, Command::Review { verdict, reason: "they called".into() });
    let refused = place(&mut shop, 103, Outcome::Review);
    let verdict = Verdict::Refuse;
    shop.order(refused.order, Command::Review { verdict, reason: "a stolen card".into() });
    let at_once = place(&mut shop, 104, Outcome::Refuse);
    let orders = vec![
        (accepted, Review::None, Status::Pending),
        (held, Review::Held, Status::Pending),
        (approved, Review::Approved, Status::Pending),
        (refused, Review::Refused, Status::Failed),
        (at_once, Review::Refused, Status::Failed),
    ];
    (shop, orders)
}

#[tokio::test]
async fn an_order_is_listed_by_where_its_review_stands() {
    let (shop, orders) = a_shop();
    let world = World::projected(&shop.log, 7).await;
    for review in [Review::Held, Review::Approved, Review::Refused] {
        let filter = Filter { review: Some(review), ..Filter::default() };
        let page = orders::list(world.models.reads(), &filter, 100, None)
            .await
            .unwrap();
        let mut listed: Vec<_> = page.items.iter().map(|order| order.id).collect();
        listed.sort_unstable();
        let expected = orders.iter().filter(|(_, is, _)| *is == review);
        assert_eq!(listed, expected.map(|(tale, ..)| tale.order).collect::<Vec<_>>(), "{review:?}");
        assert!(page.items.iter().all(|order| order.review == review));
    }
}

#[tokio::test]
async fn reasons_are_shown_to_staff_and_to_nobody_else() {
    let (shop, orders) = a_shop();
    let world = World::projected(&shop.log, 1_000).await;
    for (tale, review, status) in orders {
        let stored = world.models.order(tale.order).await.unwrap().unwrap();
        let view = stored.view().unwrap();
        assert_eq!((view.review, view.status), (review, status));
        assert_eq!(view, OrderView::at(&shop.of_order(tale.order)).unwrap());
        for (audience, is_told) in [(Audience::Staff, true), (Audience::Customer, false)] {
            let shown = stored.shown(audience).unwrap().json;
            let view = stored.view().unwrap().shown_to(audience);
            assert_eq!(shown, serde_json::to_vec(&view).unwrap());
            assert_eq!(String::from_utf8(shown).unwrap().contains(RULE), is_told);
        }
        for entry in timeline::tell(&shop.of_order(tale.order)).unwrap() {
            let of_screening = entry.event == "order.screened";
            assert_eq!(entry.summary.contains(RULE), of_screening, "{}", entry.summary);
            let told = entry.for_customer().unwrap();
            let all = format!("{} {} {:?}", told.summary, told.data, told.reason);
            for word in [RULE, "4 orders", "they called", "a stolen card"] {
                assert!(!all.contains(word), "{all}");
            }
        }
    }
}
