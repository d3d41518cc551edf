//! What there is to be looked at in the shop.

use std::collections::HashMap;
use std::ops::Range;

use super::super::catalogue::{PAGES, SHELVES, page, shelf};
use crate::shop::{self, ARTICLES};

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    List,
    Page,
    Product,
    Category,
    Promotions,
    Availability,
}

const KINDS: [Kind; 6] = [
    Kind::List,
    Kind::Page,
    Kind::Product,
    Kind::Category,
    Kind::Promotions,
    Kind::Availability,
];

/// What callers keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Answers, and ask again with their tags.
    Tags,
    /// Nothing, and Daybook neither: staff are told what is computed for them. Only categories look
    /// the same to them as to everybody.
    Nothing,
}

/// Everything that can be looked at, kind by kind.
pub(super) struct Looks {
    pub(super) paths: Vec<String>,
    places: HashMap<Kind, Range<usize>>,
}

impl Looks {
    pub(super) fn of(keeping: Keeping) -> Self {
        let (mut paths, mut places) = (Vec::new(), HashMap::new());
        for kind in KINDS {
            let from = paths.len();
            let of_kind = paths_of(kind, keeping).into_iter();
            paths.extend(of_kind.map(|path| format!("/api/v1/{path}")));
            places.insert(kind, from..paths.len());
        }
        Self { paths, places }
    }

    pub(super) fn places_of(&self, kind: Kind) -> Range<usize> {
        self.places[&kind].clone()
    }
}

/// What there is of a kind, the most wanted first.
fn paths_of(kind: Kind, keeping: Keeping) -> Vec<String> {
    let is_kept = keeping == Keeping::Tags;
    match kind {
        Kind::List => lists(),
        Kind::Page => (0..PAGES)
            .map(|number| format!("listings/{}", page(number)))
            .collect(),
        Kind::Product => (0..ARTICLES)
            .map(|article| format!("products/{}", shop::sku(article)))
            .collect(),
        Kind::Category => std::iter::once("categories".to_owned())
            .chain((0..SHELVES).map(|number| format!("categories/{}", shelf(number))))
            .collect(),
        Kind::Promotions if is_kept => vec!["promotions".to_owned()],
        Kind::Promotions => vec!["promotions/all".to_owned()],
        Kind::Availability => (0..ARTICLES)
            .map(|article| match (shop::sku(article), is_kept) {
                (sku, true) => format!("products/{sku}/availability"),
                (sku, false) => format!("inventory/{sku}"),
            })
            .collect(),
    }
}

/// The front page, the shelves as they are sorted and narrowed, and what people search for.
fn lists() -> Vec<String> {
    let front = [
        "limit=20",
        "limit=20&in_stock=true",
        "tags=even",
        "tags=odd",
    ];
    let shelves = (0..SHELVES).flat_map(|number| {
        let narrowed = [
            "",
            "&in_stock=true",
            "&sort=title",
            "&currency=GBP&sort=price",
        ];
        narrowed.map(|how| format!("category={}{how}", shelf(number)))
    });
    let searched = (1..10).map(|number| format!("search=listing+{number}"));
    let cheap = "currency=GBP&price_from=4.00&price_to=4.50&sort=-price";
    let all = front.into_iter().chain([cheap]).map(str::to_owned);
    let queries = all.chain(shelves).chain(searched);
    queries.map(|query| format!("listings?{query}")).collect()
}
