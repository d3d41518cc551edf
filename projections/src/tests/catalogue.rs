//! The catalogue: how listings and categories are kept, and how listings are found.

use domain::categories::{self, Category};
use domain::ids::Handle;
use domain::inventory;
use domain::listing::{self, Choice, Description, Variant};
use domain::money::Money;
use domain::product;

use super::shop::Shop;
use super::world::World;
use crate::categories as shelves;
use crate::listings::{self, Filter, ListingCursor, ListingSummary, Onlooker, PriceRange, Sort};

fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

fn put(shop: &mut Shop, at: &str, parent: Option<&str>) {
    let category = Category { name: at.to_uppercase(), parent: parent.map(handle) };
    shop.categorise(categories::Command::Put { handle: handle(at), category });
}

fn offer(shop: &mut Shop, sku: &str, minor: i64, active: bool, pieces: u64) {
    let money = |minor, code: &str| Money { minor, currency: code.parse().unwrap() };
    let prices = vec![money(minor * 2, "EUR")];
    let price = money(minor, "GBP");
    let name = format!("The {sku}");
    shop.describe(
        sku,
        product::Description { name, price, active, prices, vendor: None, weight_grams: None },
    );
    if 0 < pieces {
        let reference = "delivery".to_owned();
        shop.stock(sku, inventory::Command::Receive { quantity: pieces, reference });
    }
}

fn page(title: &str, category: Option<&str>, tags: &[&str], skus: &[&str]) -> Description {
    let variant = |sku: &&str| Variant {
        sku: sku.parse().unwrap(),
        options: vec![Choice { name: "code".into(), value: (*sku).to_owned() }],
    };
    Description {
        description: format!("All about {title}"),
        images: vec![format!("https://images.example/{title}.jpg")],
        category: category.map(handle),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        variants: skus.iter().map(variant).collect(),
        ..Description::new(title.to_owned())
    }
}

fn show(shop: &mut Shop, at: &str, page: Description) {
    shop.list(at, listing::Command::Describe(Box::new(page)));
}

/// Cups and pots below the kitchen, a rake in the garden, and what customers do not see.
fn furnished() -> Shop {
    let mut shop = Shop::default();
    furnish(&mut shop);
    shop
}

pub(super) fn furnish(shop: &mut Shop) {
    for (at, parent) in [
        ("kitchen", None),
        ("cups", Some("kitchen")),
        ("tea-cups", Some("cups")),
        ("garden", None),
        ("attic", None),
    ] {
        put(shop, at, parent);
    }
    offer(shop, "CUP-S", 450, true, 10);
    offer(shop, "CUP-L", 650, true, 0);
    offer(shop, "POT", 2_000, true, 0);
    offer(shop, "RAKE", 1_200, true, 3);
    offer(shop, "OLD", 100, false, 5);
    show(
        shop,
        "cup",
        page("Tea Cup", Some("tea-cups"), &["tea", "gift"], &["CUP-S", "CUP-L"]),
    );
    show(shop, "pot", page("Pot", Some("kitchen"), &["tea"], &["POT"]));
    show(shop, "rake", page("rake", Some("garden"), &[], &["RAKE"]));
    show(shop, "old", page("Old", Some("attic"), &[], &["OLD"]));
    show(shop, "empty", page("Empty", None, &[], &[]));
    show(
        shop,
        "hidden",
        Description { active: false, ..page("Hidden", None, &[], &["HID"]) },
    );
}

async fn found(world: &World, onlooker: Onlooker, filter: &Filter, sort: Sort) -> Vec<String> {
    let list = all(world, onlooker, filter, sort, 100).await;
    list.into_iter().map(|it| it.handle.to_string()).collect()
}

async fn all(
    world: &World,
    onlooker: Onlooker,
    filter: &Filter,
    sort: Sort,
    limit: i64,
) -> Vec<ListingSummary> {
    let (mut items, mut after) = (Vec::new(), None::<ListingCursor>);
    loop {
        let reads = world.models.reads();
        let page = listings::list(reads, onlooker, filter, sort, limit, after)
            .await
            .unwrap();
        items.extend(page.items);
        match page.next_cursor {
            Some(cursor) => after = Some(cursor.parse().unwrap()),
            None => return items,
        }
    }
}

/// Products that go from one page to another, by way of none and of two at a time; one that is on no
/// page at the end, though one names it.
pub(super) fn rearrange(shop: &mut Shop) {
    show(shop, "pot", page("Pot", None, &[], &["POT", "CUP-L"]));
    show(shop, "cup", page("Tea Cup", None, &[], &["CUP-S"]));
    show(shop, "pot", page("Pot!", None, &[], &["POT", "CUP-L", "HID"]));
    shop.list("hidden", listing::Command::Withdraw);
    shop.list("rake", listing::Command::Withdraw);
    show(shop, "fork", page("Fork", None, &[], &["RAKE"]));
    put(shop, "tea-cups", None);
    shop.categorise(categories::Command::Remove { handle: handle("attic") });
}

#[tokio::test]
async fn however_the_log_is_cut_the_catalogue_is_the_same() {
    let mut shop = furnished();
    rearrange(&mut shop);
    let whole = World::projected(&shop.log, 1_000).await;
    let expected = whole
        .rows_of(
            "read",
            [
                "listings",
                "listing_variants",
                "listing_claims",
                "categories",
            ],
        )
        .await;
    for batch in [1, 2, 7] {
        let world = World::projected(&shop.log, batch).await;
        let rows = world
            .rows_of(
                "read",
                [
                    "listings",
                    "listing_variants",
                    "listing_claims",
                    "categories",
                ],
            )
            .await;
        assert_eq!(rows, expected, "batches of {batch}");
    }
    let skus = ["CUP-S", "CUP-L", "POT", "RAKE"].map(str::to_owned);
    let pages = listings::pages_of(whole.models.reads(), &skus)
        .await
        .unwrap();
    let on = |sku: &str| pages.get(sku).map(String::as_str);
    assert_eq!(
        ["CUP-S", "CUP-L", "POT", "RAKE"].map(on),
        [Some("cup"), Some("pot"), Some("pot"), Some("fork")]
    );
}

#[tokio::test]
async fn a_product_stands_on_the_page_that_named_it_first_until_that_lets_it_go() {
    let mut shop = furnished();
    show(&mut shop, "thief", page("Thief", None, &[], &["CUP-S"]));
    let world = World::projected(&shop.log, 100).await;
    let reads = world.models.reads();
    let thief = listings::by_handle(reads, &handle("thief"))
        .await
        .unwrap()
        .unwrap();
    assert!(thief.variants.is_empty());
    assert_eq!(thief.seen_by(Onlooker::Customer), None);
    let cup = listings::by_handle(reads, &handle("cup"))
        .await
        .unwrap()
        .unwrap();
    let skus: Vec<_> = cup.variants.iter().map(|it| it.sku.to_string()).collect();
    assert_eq!(skus, ["CUP-S", "CUP-L"]);
}

#[tokio::test]
async fn each_filter_finds_what_one_would_pick_by_hand() {
    let world = World::projected(&furnished().log, 100).await;
    let gbp = Some("GBP".parse().unwrap());
    let none = Filter::default;
    let price = |from_minor, to_minor| PriceRange { from_minor, to_minor };
    for (filter, expected) in [
        (none(), &["cup", "pot", "rake"][..]),
        (Filter { search: Some("TEA cup".into()), ..none() }, &["cup"]),
        (Filter { search: Some("cup-l".into()), ..none() }, &["cup"]),
        (Filter { search: Some("about".into()), ..none() }, &["cup", "pot", "rake"]),
        (Filter { search: Some("tea rake".into()), ..none() }, &[]),
        (Filter { search: Some("100%_".into()), ..none() }, &[]),
        (Filter { category: Some(handle("kitchen")), ..none() }, &["cup", "pot"]),
        (Filter { category: Some(handle("cups")), ..none() }, &["cup"]),
        (Filter { category: Some(handle("nowhere")), ..none() }, &[]),
        (Filter { tags: vec!["tea".into()], ..none() }, &["cup", "pot"]),
        (Filter { tags: vec!["tea".into(), "gift".into()], ..none() }, &["cup"]),
        (Filter { in_stock: Some(true), ..none() }, &["cup", "rake"]),
        (Filter { in_stock: Some(false), ..none() }, &["pot"]),
        (
            Filter { currency: gbp, price: price(Some(450), Some(1_200)), ..none() },
            &["cup", "rake"],
        ),
        (
            Filter { currency: gbp, price: price(Some(451), None), ..none() },
            &["pot", "rake"],
        ),
        (Filter { active: Some(false), ..none() }, &[]),
        (Filter { vendor: Some(uuid::Uuid::nil()), ..none() }, &[]),
    ] {
        let mut handles = found(&world, Onlooker::Customer, &filter, Sort::Newest).await;
        handles.sort();
        assert_eq!(handles, expected, "{filter:?}");
    }
    let mut every = found(&world, Onlooker::Staff, &none(), Sort::Newest).await;
    every.sort();
    assert_eq!(every, ["cup", "empty", "hidden", "old", "pot", "rake"]);
    let hidden = Filter { active: Some(false), ..none() };
    assert_eq!(found(&world, Onlooker::Staff, &hidden, Sort::Newest).await, ["hidden"]);
}

#[tokio::test]
async fn each_order_holds_whatever_the_page() {
    let world = World::projected(&furnished().log, 100).await;
    let eur = Filter { currency: Some("EUR".parse().unwrap()), ..Filter::default() };
    for (sort, expected) in [
        (Sort::Newest, ["hidden", "empty", "old", "rake", "pot", "cup"]),
        (Sort::Title, ["empty", "hidden", "old", "pot", "rake", "cup"]),
        (Sort::PriceUp, ["cup", "rake", "pot", "empty", "hidden", "old"]),
        (Sort::PriceDown, ["pot", "rake", "cup", "old", "hidden", "empty"]),
    ] {
        for limit in [1, 2, 100] {
            let list = all(&world, Onlooker::Staff, &eur, sort, limit).await;
            let handles: Vec<_> = list.iter().map(|it| it.handle.as_str()).collect();
            assert_eq!(handles, expected, "{sort:?} in pages of {limit}");
        }
    }
}

#[tokio::test]
async fn a_list_is_short_and_a_page_tells_all() {
    let world = World::projected(&furnished().log, 100).await;
    let told = |listing: &ListingSummary| serde_json::to_value(listing).unwrap();
    let list = all(&world, Onlooker::Customer, &Filter::default(), Sort::Title, 100).await;
    let cup = told(list.last().unwrap());
    assert_eq!(
        cup,
        serde_json::json!({
            "handle": "cup", "title": "Tea Cup", "image": "https://images.example/Tea Cup.jpg",
            "category": {"handle": "tea-cups", "name": "TEA-CUPS"}, "tags": ["gift", "tea"],
            "price": {"amount": "4.50", "currency": "GBP"}, "variants": 2, "in_stock": true,
            "active": true, "listed_at": cup["listed_at"],
        })
    );
    let reads = world.models.reads();
    let page = listings::by_handle(reads, &handle("cup"))
        .await
        .unwrap()
        .unwrap();
    let way: Vec<_> = page
        .categories
        .iter()
        .map(|it| it.handle.as_str())
        .collect();
    assert_eq!(way, ["kitchen", "cups", "tea-cups"]);
    assert_eq!(page.options[0].values, ["CUP-S", "CUP-L"]);
    let told: Vec<_> = page
        .variants
        .iter()
        .map(|it| (it.name.as_deref().unwrap(), it.available, it.prices.len()))
        .collect();
    assert_eq!(told, [("The CUP-S", 10, 1), ("The CUP-L", 0, 1)]);
    let hidden = listings::by_handle(reads, &handle("hidden"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((hidden.variants[0].name.as_deref(), hidden.variants[0].price), (None, None));
    assert_eq!(hidden.seen_by(Onlooker::Customer), None);
    assert!(
        listings::by_handle(reads, &handle("nobody"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn categories_are_told_as_a_tree() {
    let world = World::projected(&furnished().log, 100).await;
    let reads = world.models.reads();
    let all = shelves::all(reads).await.unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|it| (it.handle.as_str(), it.level))
        .collect();
    assert_eq!(
        told,
        [
            ("attic", 1),
            ("garden", 1),
            ("kitchen", 1),
            ("cups", 2),
            ("tea-cups", 3)
        ]
    );
    let cups = shelves::by_handle(reads, &handle("cups"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (cups.parent, cups.children),
        (Some(handle("kitchen")), vec![handle("tea-cups")])
    );
    assert_eq!(shelves::by_handle(reads, &handle("nobody")).await.unwrap(), None);
}

#[tokio::test]
async fn the_whole_catalogue_is_read_line_by_line() {
    let mut shop = furnished();
    offer(&mut shop, "LOOSE", 100, true, 0);
    let world = World::projected(&shop.log, 100).await;
    let (mut lines, mut place) = (Vec::new(), Some(listings::Place::default()));
    while let Some(at) = place {
        let (more, next) = listings::lines_after(world.models.reads(), &at)
            .await
            .unwrap();
        lines.extend(more);
        place = next;
    }
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let handle = line.listing.as_ref().map(|it| it.handle.as_str());
            (handle, line.product.as_ref().map(|it| it.sku.as_str()))
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("cup"), Some("CUP-S")),
            (Some("cup"), Some("CUP-L")),
            (Some("empty"), None),
            (Some("hidden"), Some("HID")),
            (Some("old"), Some("OLD")),
            (Some("pot"), Some("POT")),
            (Some("rake"), Some("RAKE")),
            (None, Some("LOOSE")),
        ]
    );
}
