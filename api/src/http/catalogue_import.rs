//! The catalogue from a file: every good line is applied, every bad one is told with its reasons.
//!
//! ```text
//! lines ─▶ read ─▶ placed (categories, pages) ─▶ products, each a command ─▶ listings, each a command
//!             └─ rejects ─┴──────────────────────────┴───────────────────────────┘
//! ```
//!
//! 1. A file adds and changes, and takes nothing away: a line that is missing or bad leaves alone
//!    what it would have been about.
//! 2. Each command has an id of its own, made of the request's and of what it is about, so that a
//!    repetition, also of an import that broke off, does nothing twice. The same file under another
//!    key changes nothing, because what is as it should be needs no fact.
//! 3. A product is described before it is listed; a line whose listing refuses it says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use csv::ReaderBuilder;
use domain::categories::{Categories, SHOP};
use domain::ids::{Handle, VendorId};
use domain::listing::{self, Listing};
use domain::product::{self, Description, Product};
use futures::future::join_all;
use serde::Serialize;
use store::command::{Decided, ExecuteError, Receipt, Verdict};
use utoipa::ToSchema;

use super::App;
use super::catalogue_lines::{Head, Line};
use super::command::{Asked, answer, asked_with_file};
use super::identity::Importers;
use super::listings::pages_of;
use super::offering;
use super::problem::{Flaw, Problem};

/// Longest file, in bytes: ten thousand lines with a paragraph each.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most lines of one file: applied within the time that an answer may take, also while the shop is
/// busy. Larger catalogues come in several files.
const LINES_MAX: usize = 10_000;
/// Commands under way at a time: enough to fill batches, and few beside those of a busy shop.
const AT_ONCE: usize = 64;

/// A file of lines.
pub(crate) struct Filed(Asked<Bytes>);

impl FromRequest<App> for Filed {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        asked_with_file(request, app, "text/csv", BYTES_MAX)
            .await
            .map(Self)
    }
}

/// What has become of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedView {
    /// Lines below the head
    lines: usize,
    /// How many of them hold now
    applied: usize,
    /// Products that are described otherwise than before
    products_changed: usize,
    /// Listings that look otherwise than before
    listings_changed: usize,
    /// The lines that were not applied, in order
    rejects: Vec<RejectView>,
}

/// A line that was not applied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectView {
    /// Its number in the file; the head is line 1
    line: u64,
    /// Everything that is wrong with it
    reasons: Vec<String>,
}

/// Import the catalogue
///
/// A CSV file in UTF-8, a line a product, with the listing that it stands on. Columns: `handle`,
/// `title`, `description`, `category`, `tags`, `images`, `shown`, `vendor` (of the listing), `sku`,
/// `name`, `price`, `currency`, `prices`, `active`, `weight_grams`, `sold_by` (of the product),
/// `options` (`size=large`).
/// Several values in one cell have bars between them: `EUR 5.20|JPY 900`. What is left out stays as
/// it is, and nothing is taken away. Good lines are applied whatever becomes of others. At most
/// 10,000 lines and 8 MiB.
#[utoipa::path(
    post, path = "/catalogue/import", tag = "products",
    security(("bearer" = ["admin", "importer"])),
    request_body(
        content = String, content_type = "text/csv",
        example = json!("handle,title,sku,name,options,price,currency\ntea-cup,Tea cup,CUP-S,Small cup,size=small,4.50,GBP\n")
    ),
    responses((status = 200, description = "What has become of it", body = ImportedView))
)]
pub(crate) async fn import(
    State(app): State<App>,
    _: Importers,
    Filed(asked): Filed,
) -> Result<Response, Problem> {
    // It may take long, and all of its commands have receipts of their own.
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let mut import = match Import::read(&asked.body) {
        Ok(import) => import,
        Err(problem) => return asked.turn_away(&app, asked.alone(), &problem).await,
    };
    import.place(&app).await?;
    import.describe_products(&app, &asked).await?;
    import.keep_vendors_apart(&app).await?;
    import.amend_listings(&app, &asked).await?;
    let told = answer(StatusCode::OK, &import.told());
    asked.remember(&app, asked.alone(), told).await
}

/// A file on its way.
struct Import {
    lines: usize,
    good: Vec<Line>,
    rejects: BTreeMap<u64, Vec<String>>,
    products_changed: usize,
    listings_changed: usize,
}

impl Import {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let unreadable = |flaws: Vec<String>| {
            let flaw = |detail| Flaw { pointer: "line 1".to_owned(), detail };
            Problem::invalid_fields(flaws.into_iter().map(flaw).collect())
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let mut records = reader.records();
        let head = match records.next() {
            Some(Ok(record)) => Head::read(&record).map_err(unreadable)?,
            Some(Err(error)) => return Err(unreadable(vec![error.to_string()])),
            None => return Err(unreadable(vec!["there is no head that names columns".to_owned()])),
        };
        let mut import = Self {
            lines: 0,
            good: Vec::new(),
            rejects: BTreeMap::new(),
            products_changed: 0,
            listings_changed: 0,
        };
        for record in records {
            import.lines += 1;
            if LINES_MAX < import.lines {
                let why = format!("a file has at most {LINES_MAX} lines; send several files");
                return Err(unreadable(vec![why]));
            }
            match record {
                Ok(record) => {
                    let number = record.position().map_or(0, csv::Position::line);
                    match head.line(number, &record) {
                        Ok(line) => import.good.push(line),
                        Err(reasons) => _ = import.rejects.insert(number, reasons),
                    }
                }
                Err(error) => {
                    let number = error.position().map_or(0, csv::Position::line);
                    let why = match error.kind() {
                        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
                        _ => error.to_string(),
                    };
                    import.rejects.insert(number, vec![why]);
                }
            }
        }
        import.agree();
        Ok(import)
    }

    /// Leaves out the lines for which there is a reason not to be applied.
    fn reject(&mut self, why_not: impl Fn(&Line) -> Option<String>) {
        let rejects = &mut self.rejects;
        self.good.retain(|line| match why_not(line) {
            None => true,
            Some(why) => {
                rejects.insert(line.number, vec![why]);
                false
            }
        });
    }

    /// Lines that contradict an earlier one.
    fn agree(&mut self) {
        let mut of_skus: HashMap<String, u64> = HashMap::new();
        let mut of_handles: HashMap<Handle, (u64, listing::Amendment)> = HashMap::new();
        let mut contradicting: HashMap<u64, String> = HashMap::new();
        for line in &self.good {
            let Line { number, handle, listing, variant, .. } = line;
            if let Some(variant) = variant
                && let Some(first) = of_skus.get(variant.sku.as_str())
            {
                contradicting.insert(*number, format!("sku: is on line {first} already"));
                continue;
            }
            if let Some(handle) = handle {
                let (first, said) = of_handles
                    .entry(handle.clone())
                    .or_insert_with(|| (*number, listing::Amendment::default()));
                match joined(said, listing) {
                    Ok(both) => *said = both,
                    Err(column) => {
                        let why = format!("{column}: is another than on line {first} or below");
                        contradicting.insert(*number, why);
                        continue;
                    }
                }
            }
            if let Some(variant) = variant {
                of_skus.insert(variant.sku.to_string(), *number);
            }
        }
        self.reject(|line| contradicting.get(&line.number).cloned());
    }

    /// Lines that name a category or vendor that is not there, or a product that stands elsewhere.
    async fn place(&mut self, app: &App) -> Result<(), Problem> {
        self.reject(|line| {
            let named = [
                ("vendor", line.listing.vendor.map(VendorId)),
                ("sold_by", line.product.vendor),
            ];
            let mut unknown = named.into_iter().filter_map(|(column, vendor)| {
                let vendor = vendor.filter(|vendor| !app.sellers.knows(*vendor))?;
                Some(format!("{column}: there is no vendor {vendor}"))
            });
            unknown.next()
        });
        let (categories, _) = app.journal.decided::<Categories>(SHOP).await?;
        self.reject(|line| {
            let category = line.listing.category.as_ref()?;
            let unknown = categories.get(category).is_none();
            unknown.then(|| format!("category: there is no category {category}; put it first"))
        });
        let listed = self.good.iter().filter(|line| line.handle.is_some());
        let skus: Vec<String> = listed
            .filter_map(|line| Some(line.variant.as_ref()?.sku.to_string()))
            .collect();
        let pages = pages_of(app, &skus).await?;
        self.reject(|line| {
            let page = pages.get(line.variant.as_ref()?.sku.as_str())?;
            let elsewhere = line.handle.as_ref()?.as_str() != page;
            elsewhere
                .then(|| format!("sku: stands on the page of {page}; take it from there first"))
        });
        Ok(())
    }

    async fn describe_products(&mut self, app: &App, asked: &Asked<Bytes>) -> Result<(), Problem> {
        let mut refused = HashMap::new();
        for lines in self.good.chunks(AT_ONCE) {
            let described = lines.iter().map(|line| describe(app, asked, line));
            for (line, outcome) in lines.iter().zip(join_all(described).await) {
                match outcome? {
                    Ok(changed) => self.products_changed += usize::from(changed),
                    Err(why) => _ = refused.insert(line.number, why),
                }
            }
        }
        self.reject(|line| refused.get(&line.number).cloned());
        Ok(())
    }

    /// Lines that would put onto a vendor's page what that vendor does not sell, or make a page on which
    /// such a thing stands that vendor's.
    async fn keep_vendors_apart(&mut self, app: &App) -> Result<(), Problem> {
        // Most shops have no vendors, and their files no pages of any.
        if !app.sellers.are_there() {
            return Ok(());
        }
        let handles = self.good.iter().filter_map(|line| line.handle.as_ref());
        let handles: BTreeSet<String> = handles.map(Handle::to_string).collect();
        let handles: Vec<String> = handles.into_iter().collect();
        let mut pages: HashMap<String, PageOfVendor> = HashMap::new();
        for (handle, (listing, _)) in app.journal.fold_many::<Listing>(&handles).await? {
            let known = listing.description();
            let skus = known.iter().flat_map(|known| &known.variants);
            let vendor = known.and_then(|known| known.vendor).map(VendorId);
            let before = skus.map(|variant| variant.sku.to_string()).collect();
            pages.insert(handle, PageOfVendor { was: vendor, vendor, before, added: vec![] });
        }
        for line in &self.good {
            let Some(handle) = &line.handle else { continue };
            let page = pages.entry(handle.to_string()).or_default();
            page.vendor = line.listing.vendor.map(VendorId).or(page.vendor);
            let sku = line.variant.iter().map(|variant| variant.sku.to_string());
            page.added.extend(sku);
        }
        for page in pages.values_mut() {
            if let Some(vendor) = page.vendor {
                page.before = offering::of_others(app, vendor, &page.before).await?;
                page.added = offering::of_others(app, vendor, &page.added).await?;
            }
        }
        self.reject(|line| {
            let page = pages.get(line.handle.as_ref()?.as_str())?;
            let vendor = page.vendor?;
            let own = line.variant.as_ref().map(|variant| variant.sku.as_str());
            let added = page.added.iter().find(|sku| own == Some(sku.as_str()));
            let is_moved = line.listing.vendor.is_some() && page.was != Some(vendor);
            let told = added.or_else(|| page.before.first().filter(|_| is_moved))?;
            Some(format!("vendor: {told} is not sold by {vendor}; say so in sold_by"))
        });
        Ok(())
    }

    async fn amend_listings(&mut self, app: &App, asked: &Asked<Bytes>) -> Result<(), Problem> {
        let mut by_handle: BTreeMap<Handle, Vec<Line>> = BTreeMap::new();
        for line in &self.good {
            if let Some(handle) = &line.handle {
                by_handle
                    .entry(handle.clone())
                    .or_default()
                    .push(line.clone());
            }
        }
        let by_handle: Vec<(Handle, Vec<Line>)> = by_handle.into_iter().collect();
        let mut refused = HashMap::new();
        for listings in by_handle.chunks(AT_ONCE) {
            let amended = listings
                .iter()
                .map(|(handle, lines)| amend(app, asked, handle, lines.clone()));
            for outcome in join_all(amended).await {
                let Amended { changed, rejects } = outcome?;
                self.listings_changed += usize::from(changed);
                refused.extend(rejects);
            }
        }
        self.reject(|line| refused.get(&line.number).cloned());
        Ok(())
    }

    fn told(self) -> ImportedView {
        let rejects = self.rejects.into_iter();
        ImportedView {
            lines: self.lines,
            applied: self.good.len(),
            products_changed: self.products_changed,
            listings_changed: self.listings_changed,
            rejects: rejects
                .map(|(line, reasons)| RejectView { line, reasons })
                .collect(),
        }
    }
}

/// Whose a page is, and what stands on it: first all of it, then what the vendor does not sell.
#[derive(Default)]
struct PageOfVendor {
    was: Option<VendorId>,
    vendor: Option<VendorId>,
    before: Vec<String>,
    added: Vec<String>,
}

/// What two lines say of one listing; the column in which they contradict each other.
fn joined(
    one: &listing::Amendment,
    other: &listing::Amendment,
) -> Result<listing::Amendment, &'static str> {
    fn either<T: Clone + PartialEq>(
        column: &'static str,
        one: Option<&T>,
        other: Option<&T>,
    ) -> Result<Option<T>, &'static str> {
        match (one, other) {
            (Some(one), Some(other)) if one != other => Err(column),
            (one, other) => Ok(one.or(other).cloned()),
        }
    }
    Ok(listing::Amendment {
        title: either("title", one.title.as_ref(), other.title.as_ref())?,
        description: either("description", one.description.as_ref(), other.description.as_ref())?,
        images: either("images", one.images.as_ref(), other.images.as_ref())?,
        category: either("category", one.category.as_ref(), other.category.as_ref())?,
        tags: either("tags", one.tags.as_ref(), other.tags.as_ref())?,
        active: either("shown", one.active.as_ref(), other.active.as_ref())?,
        vendor: either("vendor", one.vendor.as_ref(), other.vendor.as_ref())?,
        variants: vec![],
    })
}

/// Describes the product of a line, if it has one; whether that changed anything, or why it is
/// refused.
async fn describe(
    app: &App,
    asked: &Asked<Bytes>,
    line: &Line,
) -> Result<Result<bool, String>, ExecuteError> {
    let Some(sku) = line.variant.as_ref().map(|variant| variant.sku.as_str()) else {
        return Ok(Ok(false));
    };
    let described: Mutex<Option<(Description, i64)>> = Mutex::default();
    let wording = |decided: Decided<'_, Product>| {
        if let Decided::Accepted { state, version, events } = decided {
            let description = state.description().filter(|_| !events.is_empty());
            let mut described = described.lock().unwrap_or_else(PoisonError::into_inner);
            *described = description.map(|description| (description.clone(), version));
        }
        None
    };
    let command = product::Command::Amend(line.product.clone());
    let envelope = asked.step(&format!("product {sku}"));
    let receipt = app
        .journal
        .execute::<Product>(sku, command, envelope, wording)
        .await?;
    let described = described
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // Once acknowledged, it is the price of every order from then on.
    if let Some((description, version)) = described.as_ref().filter(|_| !receipt.replayed) {
        app.offers.described(sku, *version, description);
    }
    Ok(refusal(&receipt).map_or(Ok(described.is_some()), Err))
}

/// What has become of the lines of one listing.
struct Amended {
    changed: bool,
    rejects: Vec<(u64, String)>,
}

/// Amends one listing. A line whose product it refuses is left out, and the others are tried again.
async fn amend(
    app: &App,
    asked: &Asked<Bytes>,
    handle: &Handle,
    mut lines: Vec<Line>,
) -> Result<Amended, ExecuteError> {
    let mut rejects = Vec::new();
    // Each time with one line less.
    loop {
        let mut amendment = lines
            .iter()
            .fold(listing::Amendment::default(), |said, line| {
                joined(&said, &line.listing).unwrap_or(said)
            });
        amendment.variants = lines
            .iter()
            .filter_map(|line| line.variant.clone())
            .collect();
        let changed = Mutex::new(false);
        let wording = |decided: Decided<'_, Listing>| {
            if let Decided::Accepted { events, .. } = decided {
                *changed.lock().unwrap_or_else(PoisonError::into_inner) = !events.is_empty();
            }
            None
        };
        let envelope = asked.step(&format!("listing {handle} {}", lines.len()));
        let command = listing::Command::Amend(Box::new(amendment));
        let receipt = app
            .journal
            .execute::<Listing>(handle.as_str(), command, envelope, wording)
            .await?;
        let changed = changed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(why) = refusal(&receipt) else {
            return Ok(Amended { changed, rejects });
        };
        let told =
            |line: &Line| (line.number, format!("the product holds, the listing not: {why}"));
        let named = match &receipt.verdict {
            Verdict::Refused(refusal) => sku_of(refusal),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => None,
        };
        let is_named =
            |line: &Line| line.variant.as_ref().map(|it| &it.sku) == named && named.is_some();
        if lines.iter().any(is_named) && 1 < lines.len() {
            rejects.extend(lines.iter().filter(|line| is_named(line)).map(told));
            lines.retain(|line| !is_named(line));
        } else {
            rejects.extend(lines.iter().map(told));
            return Ok(Amended { changed: false, rejects });
        }
    }
}

/// The product that a refusal is about.
fn sku_of(refusal: &listing::Refusal) -> Option<&domain::ids::Sku> {
    use listing::Refusal as R;

    match refusal {
        R::SkuTwice { sku }
        | R::OptionTwice { sku, .. }
        | R::OptionsDiffer { sku, .. }
        | R::NotToldApart { sku, .. } => Some(sku),
        R::NotListed | R::NotTheirs | R::TitleMissing | R::TooMany { .. } => None,
    }
}

/// Why a command was not done.
fn refusal<R: std::error::Error>(receipt: &Receipt<R>) -> Option<String> {
    match &receipt.verdict {
        Verdict::Accepted => None,
        Verdict::Refused(refusal) => Some(refusal.to_string()),
        Verdict::VersionMismatch { .. } | Verdict::TurnedAway => Some("was turned away".to_owned()),
    }
}
