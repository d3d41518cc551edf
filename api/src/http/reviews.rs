//! Reviews: everybody reads what is published, buyers write, staff judge.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::Sku;
use projections::{Page, orders};
use serde::Serialize;
use storefront::reviews::{
    self, AUTHOR_CHARS_MAX, BODY_CHARS_MAX, Filter, Judgement, NewReview, RATINGS, Review, Status,
    TITLE_CHARS_MAX,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{ModerateReview, WriteReview};
use super::fields::{Body, Fields};
use super::identity::{Caller, SignedIn, Staff};
use super::moves::REASON_CHARS_MAX;
use super::offering::can_be_bought;
use super::ownership;
use super::parameters::{OfId, OfSku, Parameters};
use super::parked::Cursor;
use super::problem::Problem;
use super::queries::{self, Asking};
use super::said::{Said, done, paged, tell};
use super::{App, tables};

/// A review as everybody reads it.
#[derive(Serialize, ToSchema)]
pub(crate) struct PublicReviewView {
    id: Uuid,
    /// What the author wants to be called
    #[schema(example = "Ada from London")]
    author: String,
    /// 5 is best
    #[schema(example = 5)]
    rating: i16,
    title: Option<String>,
    body: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// How many gave which rating.
#[derive(Serialize, ToSchema)]
pub(crate) struct RatingsView {
    #[serde(rename = "1")]
    one: i64,
    #[serde(rename = "2")]
    two: i64,
    #[serde(rename = "3")]
    three: i64,
    #[serde(rename = "4")]
    four: i64,
    #[serde(rename = "5")]
    five: i64,
}

/// A page of what is said of an article.
#[derive(Serialize, ToSchema)]
pub(crate) struct PublicReviewsView {
    /// How many reviews are published, on all pages
    count: i64,
    /// Of their ratings, to two decimals; null where there are none
    #[schema(example = 4.67)]
    average: Option<f64>,
    /// How many gave which rating
    ratings: RatingsView,
    /// Newest first
    items: Vec<PublicReviewView>,
    /// Where the next page begins; null on the last one
    next_cursor: Option<String>,
}

/// A review as its author and staff see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReviewView {
    id: Uuid,
    #[schema(example = "CUP-RED")]
    sku: String,
    /// Whose it is
    account_id: Uuid,
    /// What the author wants to be called
    author: String,
    /// 5 is best
    #[schema(example = 5)]
    rating: i16,
    title: Option<String>,
    body: Option<String>,
    /// `pending`, `published` or `rejected`
    #[schema(example = "pending")]
    status: String,
    /// Why it was rejected
    reason: Option<String>,
    /// How often it was written
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Review> for PublicReviewView {
    fn from(review: Review) -> Self {
        let Review { review_id: id, author, rating, title, body, created_at, updated_at, .. } =
            review;
        Self { id, author, rating, title, body, created_at, updated_at }
    }
}

impl From<Review> for ReviewView {
    fn from(review: Review) -> Self {
        Self {
            id: review.review_id,
            sku: review.sku,
            account_id: review.account_id,
            author: review.author,
            rating: review.rating,
            title: review.title,
            body: review.body,
            status: review.status,
            reason: review.reason,
            version: review.version,
            created_at: review.created_at,
            updated_at: review.updated_at,
        }
    }
}

/// The body of [`write`].
#[derive(Debug)]
pub(crate) struct Writing(NewReview);

impl Body for Writing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let author = fields.text("author", AUTHOR_CHARS_MAX);
        let rating = fields.integer("rating", (*RATINGS.start()).into()..=(*RATINGS.end()).into());
        let title = fields.optional_text("title", TITLE_CHARS_MAX);
        let body = fields.optional_prose("body", BODY_CHARS_MAX);
        let author = author?;
        // Whoever is careless would publish where to write to.
        if author.contains('@') {
            fields.flaw("author", "is public, and must be no email address");
            return None;
        }
        let rating = i16::try_from(rating?).ok()?;
        Some(Self(NewReview { author, rating, title, body }))
    }
}

/// The body of [`moderate`].
#[derive(Debug)]
pub(crate) struct Moderating {
    version: i32,
    judgement: Judgement,
}

impl Body for Moderating {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let publishes = fields.one_of("decision", &[("publish", true), ("reject", false)]);
        let version = fields.integer("version", 1..=i32::MAX.into());
        let reason = fields.optional_text("reason", REASON_CHARS_MAX);
        let judgement = match (publishes?, reason) {
            (true, None) => Judgement::Publish,
            (false, Some(reason)) => Judgement::Reject(reason),
            (true, Some(_)) => {
                fields.flaw("reason", "goes together with `reject`");
                return None;
            }
            (false, None) => {
                // One that is wrong has been told already.
                if !fields.has("reason") {
                    fields.flaw("reason", "is missing: the author is told why");
                }
                return None;
            }
        };
        Some(Self { version: i32::try_from(version?).ok()?, judgement })
    }
}

fn rating(parameters: &mut Parameters) -> Option<i16> {
    let range = (*RATINGS.start()).into()..=(*RATINGS.end()).into();
    parameters
        .integer("rating", range)
        .and_then(|rating| rating.try_into().ok())
}

fn at(last: &Review) -> Cursor {
    Cursor { at: last.created_at, id: last.review_id }
}

/// One more than asked for tells whether there is a next page.
async fn page(
    app: &App,
    filter: &Filter<'_>,
    limit: i64,
    after: Option<Cursor>,
) -> Result<Page<Review>, Problem> {
    let after = after.map(|cursor| (cursor.at, cursor.id));
    let found = reviews::list(&app.pool, filter, limit.saturating_add(1), after).await?;
    Ok(paged(found, limit, at))
}

fn shown(page: Page<Review>) -> Page<ReviewView> {
    let items = page.items.into_iter().map(ReviewView::from).collect();
    Page { items, next_cursor: page.next_cursor }
}

/// List what is said of a product
///
/// What staff have published, newest first, with average and number of ratings.
#[utoipa::path(
    get, path = "/products/{sku}/reviews", tag = "community",
    params(
        ("sku" = String, Path, description = "The article"),
        ("rating" = Option<i64>, Query, minimum = 1, maximum = 5, description = "Only with this one"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = PublicReviewsView))
)]
pub(crate) async fn list_published(
    State(app): State<App>,
    OfSku(sku): OfSku,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let rating = rating(&mut parameters);
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    if !can_be_bought(&app, &sku).await? {
        return Err(Problem::not_found("product").at(position));
    }
    let status = Some(Status::Published);
    let filter = Filter { sku: Some(&sku), status, rating, ..Filter::default() };
    let page = page(&app, &filter, limit, cursor).await?;
    let ratings = reviews::ratings(&app.pool, &sku).await?;
    let [one, two, three, four, five] = ratings.counts;
    let hundredths = ratings.average_hundredths();
    let average = hundredths.and_then(|it| i32::try_from(it).ok());
    let view = PublicReviewsView {
        count: ratings.count(),
        average: average.map(|hundredths| f64::from(hundredths) / 100.0),
        ratings: RatingsView { one, two, three, four, five },
        items: page.items.into_iter().map(PublicReviewView::from).collect(),
        next_cursor: page.next_cursor,
    };
    Ok(queries::show(position, &view))
}

/// List your reviews
///
/// Newest first, whatever staff have made of them.
#[utoipa::path(
    get, path = "/profile/reviews", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ReviewView>))
)]
pub(crate) async fn list_own(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    let owner = ownership::owner(&app, id).await?;
    let filter = Filter { author: Some(&owner.accounts), ..Filter::default() };
    Ok(tell(StatusCode::OK, &shown(page(&app, &filter, limit, cursor).await?)))
}

/// Show your review of a product
#[utoipa::path(
    get, path = "/profile/reviews/{sku}", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The review", body = ReviewView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfSku(sku): OfSku,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let owner = ownership::owner(&app, id).await?;
    let review = reviews::of_author(&app.pool, &owner.accounts, &sku).await?;
    let review = review.ok_or(reviews::Error::NoSuchReview)?;
    Ok(tell(StatusCode::OK, &ReviewView::from(review)))
}

/// Review a product
///
/// Once per product, by whoever has bought it: an order of theirs that is confirmed or completed holds
/// it, otherwise 409 `product_not_bought`. Written anew, it waits for staff again; the same again
/// changes nothing.
#[utoipa::path(
    put, path = "/profile/reviews/{sku}", tag = "community", request_body = WriteReview,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The review, which staff will look at", body = ReviewView))
)]
pub(crate) async fn write(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfSku(sku): OfSku,
    Said(Writing(new)): Said<Writing>,
) -> Result<Response, Problem> {
    let owner = ownership::owner(&app, id).await?;
    if !orders::has_bought(app.read_models.reads(), &owner, &sku).await? {
        return Err(not_bought());
    }
    let review = reviews::write(&app.pool, id, &owner.accounts, &sku, &new).await?;
    Ok(tell(StatusCode::OK, &ReviewView::from(review)))
}

/// Take a review back
///
/// A repetition is 404.
#[utoipa::path(
    delete, path = "/profile/reviews/{sku}", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 204, description = "The review is deleted"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfSku(sku): OfSku,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let owner = ownership::owner(&app, id).await?;
    reviews::delete(&app.pool, &owner.accounts, &sku).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// List reviews
///
/// Newest first; `status=pending` is what staff have to look at. `Accept: text/csv` gives every row that
/// the filters leave.
#[utoipa::path(
    get, path = "/reviews", tag = "community", security(("staff" = [])),
    params(
        ("status" = Option<String>, Query, description = "`pending`, `published` or `rejected`"),
        ("sku" = Option<String>, Query, description = "About this article"),
        ("rating" = Option<i64>, Query, minimum = 1, maximum = 5, description = "Only with this one"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((Page<ReviewView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let status = parameters.named("status", &Status::NAMES);
    let sku: Option<Sku> = parameters.optional("sku", str::parse);
    let rating = rating(&mut parameters);
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        let position = store::log::head(&app.pool).await?;
        return tables::of_reviews(&app, position, sku, status, rating);
    }
    let filter = Filter { sku: sku.as_ref(), status, rating, author: None };
    Ok(tell(StatusCode::OK, &shown(page(&app, &filter, limit, cursor).await?)))
}

/// Moderate a review
///
/// Publishes or rejects the version that was read; 409 `review_rewritten` if its author has written it
/// anew meanwhile. What was judged may be judged otherwise.
#[utoipa::path(
    post, path = "/reviews/{id}/moderation", tag = "community", security(("staff" = [])),
    request_body = ModerateReview,
    params(("id" = Uuid, Path, description = "The review")),
    responses((status = 200, description = "The review", body = ReviewView))
)]
pub(crate) async fn moderate(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(review_id): OfId,
    Said(Moderating { version, judgement }): Said<Moderating>,
) -> Result<Response, Problem> {
    let by = caller.to_string();
    let review = reviews::judge(&app.pool, review_id, version, &judgement, &by).await?;
    Ok(tell(StatusCode::OK, &ReviewView::from(review)))
}

fn not_bought() -> Problem {
    let detail = "only who has bought a product reviews it: no confirmed or completed order of yours \
        holds it";
    Problem::new(StatusCode::CONFLICT, "product_not_bought", detail)
}

impl From<reviews::Error> for Problem {
    fn from(error: reviews::Error) -> Self {
        use reviews::Error as E;

        match &error {
            E::NoSuchReview => Self::not_found("review"),
            E::Rewritten { actual } => {
                Self::new(StatusCode::CONFLICT, "review_rewritten", error.to_string())
                    .with_member("actual", *actual)
            }
            E::Database(cause) => Self::accident("ask for reviews", cause),
        }
    }
}
