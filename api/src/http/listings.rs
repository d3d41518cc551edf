//! Listings: the pages of the shop. What customers see of them is computed once for all; staff see
//! what there is.

use std::collections::BTreeMap;
use std::convert::Infallible;

use accounts::Role;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use domain::categories::{Categories, SHOP};
use domain::ids::{Handle, VendorId};
use domain::listing::{
    self, Choice, DESCRIPTION_CHARS_MAX, Description, IMAGE_CHARS_MAX, IMAGES_MAX, Listing,
    OPTION_CHARS_MAX, OPTIONS_MAX, TAG_CHARS_MAX, TAGS_MAX, TITLE_CHARS_MAX, VARIANTS_MAX, Variant,
};
use domain::money::{Currency, Money};
use projections::listings::{
    self, Filter, ListingCursor, ListingSummary, ListingView, Onlooker, PriceRange, Sort,
};
use projections::{Page, categories, products, stock, vendors};
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::answers::{Computed, Of};
use super::catalogue_bodies::DescribeListing;
use super::command::{Asked, respond};
use super::fields::{Body, Fields, plain};
use super::identity::Caller;
use super::moves::Empty;
use super::offering::{Offering, of_others, unknown_vendor};
use super::parameters::{OfHandle, Parameters};
use super::problem::{Flaw, Problem};
use super::queries::{Asking, CATCH_UP_MAX};

/// What lists and pages are made of.
const MODELS: [&str; 5] = [
    listings::NAME,
    categories::NAME,
    products::NAME,
    stock::NAME,
    vendors::NAME,
];

/// A listing as it is from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedView {
    /// Its name in addresses
    #[schema(example = "tea-cup")]
    handle: String,
    /// Its headline
    title: String,
    /// Whether customers see it
    active: bool,
    /// Words by which it is found, as they are compared
    tags: Vec<String>,
    /// The articles that can be chosen
    variants: Vec<String>,
    /// Its version, for `If-Match`
    version: i64,
}

/// A listing that is shown no more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WithdrawnView {
    /// Which
    handle: String,
    /// Its version, for `If-Match`
    version: i64,
}

/// The body of [`describe`].
#[derive(Debug)]
pub(crate) struct Describing(Description);

impl Body for Describing {
    const BYTES_MAX: usize = 256 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let title = fields.text("title", TITLE_CHARS_MAX);
        let description = fields.optional_prose("description", DESCRIPTION_CHARS_MAX);
        let images = fields.words("images", IMAGES_MAX, image);
        let category = fields.optional_of("category", str::parse);
        let tags = fields.words("tags", TAGS_MAX, tag);
        let active = fields.flag("active");
        let variants = fields.list_up_to("variants", VARIANTS_MAX, variant);
        let vendor = fields.optional_of("vendor", str::parse);
        Some(Self(Description {
            title: title?,
            description: description.unwrap_or_default(),
            images: images?,
            category,
            tags: tags?,
            active: active?,
            variants: variants?,
            vendor,
        }))
    }
}

fn variant(fields: &mut Fields<'_>) -> Option<Variant> {
    let sku = fields.sku("sku");
    let options = fields.list_up_to("options", OPTIONS_MAX, |choice| {
        let name = choice.of("name", option);
        let value = choice.of("value", option);
        Some(Choice { name: name?, value: value? })
    });
    Some(Variant { sku: sku?, options: options? })
}

/// An address that a browser can load a picture from.
pub(crate) fn image(text: &str) -> Result<String, String> {
    if IMAGE_CHARS_MAX < text.chars().count() {
        return Err(format!("must have {IMAGE_CHARS_MAX} characters at most"));
    }
    match Url::parse(text) {
        Ok(url) if url.as_str().contains('|') => Err("must have %7C for a bar".to_owned()),
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url.into()),
        Ok(_) | Err(_) => Err("must be an address that begins with http:// or https://".to_owned()),
    }
}

/// A name or a value of an option: files have bars between options, and a sign between the two.
pub(crate) fn option(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || OPTION_CHARS_MAX < text.chars().count() {
        return Err(format!("must have 1 to {OPTION_CHARS_MAX} characters, not all of them blank"));
    }
    if text.contains(['|', '=']) {
        return Err("must not contain bars or equals signs".to_owned());
    }
    plain(text).map(str::to_owned)
}

/// A tag as it is compared.
pub(crate) fn tag(text: &str) -> Result<String, String> {
    let tag = text.trim().to_lowercase();
    if tag.is_empty() || TAG_CHARS_MAX < tag.chars().count() {
        return Err(format!("must have 1 to {TAG_CHARS_MAX} characters, not all of them blank"));
    }
    if tag.contains([',', '|']) {
        return Err("must not contain commas or bars, which stand between tags".to_owned());
    }
    plain(&tag).map(str::to_owned)
}

/// What the caller sees of the catalogue. It is open to everybody, so a token that has expired keeps
/// nobody out: whoever shows one sees what customers see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looking {
    pub(crate) onlooker: Onlooker,
    /// A vendor, who sees all there is of what is theirs.
    vendor: Option<VendorId>,
}

impl Looking {
    /// How somebody looks at what this vendor sells, or at what anybody does.
    pub(crate) fn at(self, vendor: Option<VendorId>) -> Onlooker {
        if vendor.is_some() && vendor == self.vendor {
            Onlooker::Staff
        } else {
            self.onlooker
        }
    }

    /// How they may look at something of which it is not known yet whose it is: what is kept for all
    /// customers may not be all there is for a vendor.
    pub(crate) fn widest(self) -> Onlooker {
        self.at(self.vendor)
    }
}

impl FromRequestParts<App> for Looking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let staff = [Role::Admin, Role::Analyst, Role::Auditor, Role::Importer];
        let caller = Caller::from_request_parts(parts, app).await;
        let vendor = match &caller {
            Ok(Caller::Account { id, role: Role::Vendor }) => Some(VendorId(*id)),
            Ok(_) | Err(_) => None,
        };
        let is_staff = caller.is_ok_and(|caller| caller.is_any_of(&staff));
        let onlooker = if is_staff {
            Onlooker::Staff
        } else {
            Onlooker::Customer
        };
        Ok(Self { onlooker, vendor })
    }
}

/// What a list is asked for.
struct Wanted {
    filter: Filter,
    sort: Sort,
    limit: i64,
    after: Option<ListingCursor>,
}

impl Wanted {
    fn read(mut parameters: Parameters) -> Result<Self, Problem> {
        let currency = parameters.optional("currency", str::parse::<Currency>);
        let mut price = |name| {
            parameters.optional(name, |text| match currency {
                Some(currency) => Money::parse(text, currency)
                    .map(|price| price.minor)
                    .map_err(|error| error.to_string()),
                None => Err("needs currency: prices in one are compared".to_owned()),
            })
        };
        let price = PriceRange { from_minor: price("price_from"), to_minor: price("price_to") };
        let mut flag = |name| {
            parameters
                .optional(name, |text| text.parse::<bool>().map_err(|_| "must be true or false"))
        };
        let (in_stock, active) = (flag("in_stock"), flag("active"));
        let tags = parameters
            .optional("tags", |text| text.split(',').map(tag).collect::<Result<Vec<_>, _>>());
        let sort = parameters
            .one_of("sort", &Sort::NAMES.map(|(name, _)| name))
            .and_then(|name| Sort::NAMES.into_iter().find(|(of, _)| *of == name))
            .map_or_else(Sort::default, |(_, sort)| sort);
        if sort.is_by_price() && currency.is_none() {
            parameters.refuse("sort", "needs currency: prices in one are compared");
        }
        let after: Option<ListingCursor> = parameters.cursor();
        if after.as_ref().is_some_and(|after| !after.is_of(sort)) {
            parameters.refuse("cursor", "is of a list in another order");
        }
        let filter = Filter {
            search: parameters.text("search"),
            category: parameters.optional("category", str::parse::<Handle>),
            tags: tags.unwrap_or_default(),
            currency,
            price,
            in_stock,
            active,
            vendor: parameters.optional("vendor", str::parse::<Uuid>),
        };
        let limit = parameters.limit();
        parameters.finish()?;
        Ok(Self { filter, sort, limit, after })
    }
}

/// List listings
///
/// Customers see what can be bought: active listings with an active product; vendors who ask for
/// their own with `vendor`, all of these. Newest first, or sorted by `title`, `price` or `-price`. Prices are compared in `currency`: in it, a listing without a price
/// of its own has none, and comes last.
#[utoipa::path(
    get, path = "/listings", tag = "products",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(
        ("search" = Option<String>, Query, description = "Words, each of which occurs in handle, title, description, tags or SKUs"),
        ("category" = Option<String>, Query, description = "In this category or below it"),
        ("tags" = Option<String>, Query, description = "All of these, separated by commas"),
        ("currency" = Option<String>, Query, description = "Prices are told and compared in it"),
        ("price_from" = Option<String>, Query, description = "The lowest price is at least this"),
        ("price_to" = Option<String>, Query, description = "The lowest price is at most this"),
        ("in_stock" = Option<bool>, Query, description = "Whether some can still be ordered"),
        ("active" = Option<bool>, Query, description = "For staff: whether customers see it"),
        ("vendor" = Option<Uuid>, Query, description = "Whose"),
        ("sort" = Option<String>, Query, description = "`newest`, `title`, `price` or `-price`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ListingSummary>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    looking: Looking,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("listings");
    let Wanted { filter, sort, limit, after } = Wanted::read(parameters)?;
    let onlooker = looking.at(filter.vendor.map(VendorId));
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &MODELS).await?;
        let reads = app.read_models.reads();
        let page = listings::list(reads, onlooker, &filter, sort, limit, after.clone()).await?;
        Ok(Computed::new(position, vec![Of::Listings], &page))
    };
    app.answers.tell_to(onlooker, &asking, key, compute).await
}

/// Show a listing
///
/// With everything on its page: description, pictures, and the variants with prices and availability.
/// Customers see what can be bought, staff and its vendor all of it.
#[utoipa::path(
    get, path = "/listings/{handle}", tag = "products",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(("handle" = String, Path, description = "Which")),
    responses((status = 200, description = "The listing", body = ListingView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    looking: Looking,
    OfHandle(handle): OfHandle,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key(&format!("listings/{handle}"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &MODELS).await?;
        let listing = listings::by_handle(app.read_models.reads(), &handle).await?;
        let vendor = listing.as_ref().and_then(|listing| listing.vendor);
        let onlooker = looking.at(vendor.map(VendorId));
        // Of those that cannot be bought as well: they might become so.
        let variants = listing.iter().flat_map(|listing| &listing.variants);
        let of: Vec<Of> = variants
            .map(|variant| Of::Product(variant.sku.clone()))
            .chain([Of::Listing(handle.clone()), Of::Categories])
            .collect();
        let listing = listing.and_then(|listing| listing.seen_by(onlooker));
        let listing = listing.ok_or_else(|| Problem::not_found("listing").at(position))?;
        Ok(Computed::versioned(position, of, listing.version, &listing))
    };
    app.answers
        .tell_to(looking.widest(), &asking, key, compute)
        .await
}

/// Describe a listing
///
/// Shown like this from now on. Names, prices and stock of its variants are the products' own: `PUT
/// /products/{sku}`. A product stands on one page only: 409 `sku_listed_elsewhere`. 422
/// `unknown_category`, `options_differ` (all variants name the same options), `variants_alike`.
///
/// A vendor's page shows that vendor's products and no others: 422 `product_of_another`. Vendors
/// describe their own pages, and begin new ones, once they are active; for them, others' do not exist.
/// Staff say whose a page is with `vendor`.
#[utoipa::path(
    put, path = "/listings/{handle}", tag = "products",
    security(("bearer" = ["vendor", "admin", "importer"])),
    extensions(("x-own" = json!(["vendor"]))), request_body = DescribeListing,
    params(("handle" = String, Path, description = "Its name in addresses: a to z, digits, hyphens")),
    responses((status = 200, description = "The listing", body = ListedView))
)]
pub(crate) async fn describe(
    State(app): State<App>,
    offering: Offering,
    OfHandle(handle): OfHandle,
    asked: Asked<Describing>,
) -> Result<Response, Problem> {
    let mut description = asked.body.0.clone();
    match offering {
        Offering::Any => {}
        Offering::Own(own) if description.vendor.is_some_and(|vendor| vendor != own.0) => {
            return Err(Problem::staff_only_fields(vec!["/vendor".to_owned()]));
        }
        Offering::Own(own) => {
            // Whether they are active by now, a repetition is told what it was told.
            if let Some(told) = asked.told_before(&app).await? {
                return Ok(told);
            }
            offering.must_be_open(&app)?;
            // Before anything is said of its products: others' pages do not exist.
            let (known, _) = app.journal.decided::<Listing>(handle.as_str()).await?;
            if known
                .description()
                .is_some_and(|known| known.vendor != Some(own.0))
            {
                return Err(Problem::not_found("listing"));
            }
            description.vendor = Some(own.0);
        }
    }
    if let Some(problem) = misplaced(&app, &handle, &description).await? {
        return asked.turn_away(&app, asked.alone(), &problem).await;
    }
    let description = Box::new(description);
    let command = match offering {
        Offering::Any => listing::Command::Describe(description),
        Offering::Own(own) => listing::Command::DescribeOwn(own, description),
    };
    let wording = asked.wording(StatusCode::OK, |accepted| {
        let listing: &Listing = accepted.state;
        let listed = listing
            .description()
            .expect("what was described has a description");
        let variants = listed.variants.iter();
        ListedView {
            handle: handle.to_string(),
            title: listed.title.clone(),
            active: listed.active,
            tags: listed.tags.clone(),
            variants: variants.map(|variant| variant.sku.to_string()).collect(),
            version: accepted.version,
        }
    });
    let envelope = asked.alone();
    let receipt = app
        .journal
        .execute::<Listing>(handle.as_str(), command, envelope, wording)
        .await?;
    Ok(respond(receipt))
}

/// Withdraw a listing
///
/// Shown no more; its products stay, and may stand elsewhere. The handle may be used again. Vendors
/// withdraw their own, active or not.
#[utoipa::path(
    delete, path = "/listings/{handle}", tag = "products",
    security(("bearer" = ["vendor", "admin", "importer"])),
    extensions(("x-own" = json!(["vendor"]))),
    params(("handle" = String, Path, description = "Which")),
    responses((status = 200, description = "It is withdrawn", body = WithdrawnView))
)]
pub(crate) async fn withdraw(
    State(app): State<App>,
    offering: Offering,
    OfHandle(handle): OfHandle,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    let command = match offering {
        Offering::Any => listing::Command::Withdraw,
        Offering::Own(own) => listing::Command::WithdrawOwn(own),
    };
    let wording = asked.wording(StatusCode::OK, |accepted| WithdrawnView {
        handle: handle.to_string(),
        version: accepted.version,
    });
    let envelope = asked.alone();
    let receipt = app
        .journal
        .execute::<Listing>(handle.as_str(), command, envelope, wording)
        .await?;
    Ok(respond(receipt))
}

/// Why a listing cannot stand where it is to stand, or show what it is to show.
async fn misplaced(
    app: &App,
    handle: &Handle,
    description: &Description,
) -> Result<Option<Problem>, Problem> {
    if let Some(category) = &description.category {
        let (categories, _) = app.journal.decided::<Categories>(SHOP).await?;
        if categories.get(category).is_none() {
            let detail = format!("there is no category {category}; put it first");
            let flaw = Flaw { pointer: "/category".to_owned(), detail };
            let detail = "the listing is to stand in a category that is not there";
            let refused = StatusCode::UNPROCESSABLE_ENTITY;
            let problem = Problem::new(refused, "unknown_category", detail);
            return Ok(Some(problem.with_flaws(vec![flaw])));
        }
    }
    let skus = description.variants.iter();
    let skus: Vec<String> = skus.map(|variant| variant.sku.to_string()).collect();
    let at = |index: usize| format!("/variants/{index}/sku");
    if let Some(vendor) = description.vendor.map(VendorId) {
        if !app.sellers.knows(vendor) {
            return Ok(Some(unknown_vendor()));
        }
        let foreign = of_others(app, vendor, &skus).await?;
        let indices = skus.iter().enumerate();
        let foreign = indices.filter(|(_, sku)| foreign.contains(sku));
        let flaws: Vec<Flaw> = foreign
            .map(|(index, _)| Flaw {
                pointer: at(index),
                detail: "is no product of this vendor".to_owned(),
            })
            .collect();
        if !flaws.is_empty() {
            let detail = "a vendor's page shows what that vendor sells, and nothing else";
            let refused = StatusCode::UNPROCESSABLE_ENTITY;
            let problem = Problem::new(refused, "product_of_another", detail);
            return Ok(Some(problem.with_flaws(flaws)));
        }
    }
    let pages = pages_of(app, &skus).await?;
    let flaws: Vec<Flaw> = skus
        .iter()
        .enumerate()
        .filter_map(|(index, sku)| {
            let page = pages
                .get(sku)
                .filter(|page| page.as_str() != handle.as_str())?;
            Some(Flaw { pointer: at(index), detail: format!("stands on the page of {page}") })
        })
        .collect();
    let detail = "a product stands on one page only; take it from the other one first";
    let problem = || Problem::new(StatusCode::CONFLICT, "sku_listed_elsewhere", detail);
    Ok((!flaws.is_empty()).then(|| problem().with_flaws(flaws)))
}

/// On which pages these products stand, as far as anybody knows by now.
pub(crate) async fn pages_of(
    app: &App,
    skus: &[String],
) -> Result<BTreeMap<String, String>, Problem> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let head = store::log::head(&app.pool).await?;
    app.read_models
        .wait_for(&[listings::NAME], head, CATCH_UP_MAX)
        .await?;
    Ok(listings::pages_of(app.read_models.reads(), skus).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, Problem> {
        Wanted::read(Parameters::of(query))
    }

    #[test]
    fn prices_are_compared_in_a_currency() {
        let price = wanted("currency=JPY&price_from=450&sort=-price").unwrap();
        assert_eq!(price.filter.price.from_minor, Some(450));
        assert_eq!(price.sort, Sort::PriceDown);
        for query in [
            "price_from=4",
            "sort=price",
            "currency=JPY&price_to=4.50",
            "currency=XXQ",
            "sort=colour",
            "in_stock=perhaps",
            "tags=,",
            "vendor=me",
            "category=A%20B",
        ] {
            assert!(wanted(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_picture_is_loaded_from_the_web() {
        assert!(image("https://images.example/a%20b.jpg?size=2").is_ok());
        for text in [
            "",
            "a.jpg",
            "javascript:alert(1)",
            "data:image/png;base64,",
            "ftp://a/b",
        ] {
            assert!(image(text).is_err(), "{text}");
        }
        assert!(image(&format!("https://a.example/{}", "x".repeat(IMAGE_CHARS_MAX))).is_err());
    }
}
