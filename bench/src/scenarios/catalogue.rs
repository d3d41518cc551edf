//! `catalogue-list`: pages of the shop as customers look through them, which are computed once and
//! told to many; compared with the same pages as staff see them, which are computed each time.

use serde_json::json;

use super::{Stage, reading};
use crate::error::Error;
use crate::figure::Figure;
use crate::load::{self, Plan};
use crate::requests;
use crate::shop::{self, ARTICLES, Each};

/// Articles on one page.
pub(crate) const VARIANTS: u32 = 4;
/// Pages.
pub(crate) const PAGES: u32 = ARTICLES / VARIANTS;
/// Shelves that they stand on.
pub(crate) const SHELVES: u32 = 12;
/// Connections of the set-up.
const SETUP_CONNECTIONS: usize = 16;
/// What customers ask for: the front page, and some that are found by what they say.
const QUERIES: [&str; 6] = [
    "limit=20",
    "limit=20&sort=title",
    "limit=20&currency=GBP&sort=price",
    "limit=20&in_stock=true",
    "limit=20&search=listing+1",
    "limit=20&tags=even",
];

/// The list of listings, out of memory.
pub(crate) async fn list(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("catalogue-list", "queries/s");
    "the same computed each time, as staff see it".clone_into(&mut figure.against);
    describe(stage).await?;
    let token = stage.daybook.token.clone();
    let asked = |token: Option<&str>| -> Vec<Vec<u8>> {
        let of = |query: &&str| requests::get(&format!("/api/v1/listings?{query}"), token, &[]);
        QUERIES.iter().map(of).collect()
    };
    let (customers, staff) = (asked(None), asked(Some(&token)));
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        let reference = reading::rate(stage, &staff).await?;
        figure.references.push(reference);
        reading::round(stage, &mut figure, &customers).await?;
    }
    Ok(figure)
}

/// The name of a page in addresses.
pub(crate) fn page(number: u32) -> String {
    format!("bench-{number}")
}

/// The name of a shelf in addresses.
pub(crate) fn shelf(number: u32) -> String {
    format!("bench-shelf-{number}")
}

/// Puts all articles on pages, and those on shelves. Where that has been done, nothing is done again.
pub(crate) async fn describe(stage: &Stage) -> Result<(), Error> {
    let token = &stage.daybook.token;
    let shelves = (0..SHELVES).map(|number| {
        let (path, key) = (format!("/api/v1/categories/{}", shelf(number)), shelf(number));
        let body = json!({"name": format!("Shelf {number}")}).to_string();
        requests::command("PUT", &path, token, &key, &body)
    });
    let work = Each { requests: shelves.collect() };
    // One after the other: all shelves are one stream.
    let (loaded, _) = load::run(stage.daybook.address, Plan::all(1), work).await?;
    loaded.must_be_clean("the shelves cannot be set up")?;
    let listing = |number: u32| {
        let variant = |nth: u32| {
            let options = json!([{"name": "size", "value": nth.to_string()}]);
            json!({"sku": shop::sku(number * VARIANTS + nth), "options": options})
        };
        let parity = if number.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        };
        let body = json!({
            "title": format!("Listing {number}"),
            "description": "A paragraph about what it is good for. ".repeat(10),
            "category": shelf(number % SHELVES),
            "tags": [parity],
            "active": true,
            "variants": (0..VARIANTS).map(variant).collect::<Vec<_>>(),
        });
        let path = format!("/api/v1/listings/{}", page(number));
        requests::command("PUT", &path, token, &format!("list-{number}"), &body.to_string())
    };
    let work = Each { requests: (0..PAGES).map(listing).collect() };
    let (loaded, _) = load::run(stage.daybook.address, Plan::all(SETUP_CONNECTIONS), work).await?;
    loaded.must_be_clean("the listings cannot be set up")
}
