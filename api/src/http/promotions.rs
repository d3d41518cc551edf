//! Promotions over HTTP: offered by staff, shown to everybody.

use std::sync::OnceLock;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::Utc;
use domain::ids::Sku;
use domain::promotion::{self, AMOUNTS_MAX, Code, Promotion, Reduction, SKUS_MAX, Terms, USES_MAX};
use projections::Page;
use projections::promotions::{self, CodeCursor, PromotionDetails, PromotionView};
use serde::Serialize;
use store::command::Verdict;
use utoipa::ToSchema;

use super::answers::{Computed, Of};
use super::buying_bodies::DescribePromotion;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::identity::{Readers, Staff};
use super::order_body::NAME_CHARS_MAX;
use super::parameters::Parameters;
use super::problem::{Flaw, Problem};
use super::queries::{self, Asking};
use super::{App, tables};

/// A promotion as it was described.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribedPromotion {
    #[serde(flatten)]
    promotion: PromotionView,
    /// Its version, for `If-Match`
    version: i64,
}

/// The promotion that a path names. A text that cannot be a code is a mistake worth explaining.
#[derive(Debug)]
pub(crate) struct OfCode(Code);

impl<S: Send + Sync> FromRequestParts<S> for OfCode {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map_or_else(|_| String::new(), |Path(text)| text);
        text.parse().map(Self).map_err(|error: promotion::BadCode| {
            let flaw = Flaw { pointer: "{code}".to_owned(), detail: error.to_string() };
            Problem::invalid_parameters(vec![flaw])
        })
    }
}

/// The body of [`describe`].
#[derive(Debug)]
pub(crate) struct Describing(Terms);

impl Body for Describing {
    const BYTES_MAX: usize = 256 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let percentage = fields.optional_of("percentage", basis_points);
        let amounts = fields.optional_list("amounts", AMOUNTS_MAX, |amount| amount.amount(None));
        let reduction = match (fields.has("percentage"), fields.has("amounts")) {
            (true, false) => percentage.map(|basis_points| Reduction::Percentage { basis_points }),
            (false, true) => amounts.map(|amounts| Reduction::Amount { amounts }),
            (true, true) => {
                fields.flaw("amounts", "must not be given beside a percentage");
                None
            }
            (false, false) => {
                fields.flaw(
                    "percentage",
                    "is missing, and amounts are as well: one of them is needed",
                );
                None
            }
        };
        let automatic = fields.optional_flag("automatic");
        let listed = fields.optional_flag("listed");
        let active = fields.optional_flag("active");
        let starts_at = fields.optional_instant("starts_at");
        let ends_at = fields.optional_instant("ends_at");
        let uses_max = uses(fields, "uses_max");
        let uses_per_customer_max = uses(fields, "uses_per_customer_max");
        let minimum = fields.list_up_to("minimum", AMOUNTS_MAX, |amount| amount.amount(None));
        let skus = fields.words("skus", SKUS_MAX, str::parse::<Sku>);
        let automatic = automatic.unwrap_or(false);
        Some(Self(Terms {
            name: name?,
            reduction: reduction?,
            automatic,
            // A code that few are to know is not told by accident; what applies to all is no secret.
            listed: listed.unwrap_or(automatic),
            active: active.unwrap_or(true),
            starts_at,
            ends_at,
            uses_max,
            uses_per_customer_max,
            minimum: minimum?,
            skus: skus?,
        }))
    }
}

fn uses(fields: &mut Fields<'_>, name: &'static str) -> Option<u32> {
    let uses = fields.optional_integer(name, 1..=i64::from(USES_MAX))?;
    u32::try_from(uses).ok()
}

/// Reads `12.5` as 1,250 hundredths of a percent.
fn basis_points(text: &str) -> Result<u32, &'static str> {
    const BAD: &str =
        "must be a decimal above 0 and at most 100 with two decimals at most, such as \"12.5\"";
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || 3 < whole.len() || 2 < fraction.len() {
        return Err(BAD);
    }
    let padded = format!("{whole}{fraction:0<2}");
    let basis_points = padded.parse::<u32>().map_err(|_| BAD)?;
    if (1..=promotion::BASIS_POINTS_MAX).contains(&basis_points) {
        Ok(basis_points)
    } else {
        Err(BAD)
    }
}

/// Offer a promotion
///
/// Like this from now on; what is left out is taken back. Orders that were placed keep what they were
/// promised. One promotion applies to an order: the one whose code it names, else of those that apply
/// by themselves (`automatic`) the one that takes most off. Limits hold however many order at once; a
/// limit for each customer is for whoever has signed in.
#[utoipa::path(
    put, path = "/promotions/{code}", tag = "promotions", security(("staff" = [])),
    params(("code" = String, Path, description = "Its code, in capitals or not")),
    request_body = DescribePromotion,
    responses((status = 200, description = "It is offered like this", body = DescribedPromotion))
)]
pub(crate) async fn describe(
    State(app): State<App>,
    _: Staff,
    OfCode(code): OfCode,
    asked: Asked<Describing>,
) -> Result<Response, Problem> {
    let Describing(terms) = &asked.body;
    if let Some(problem) = app.promises.has_no_room_for(&code, terms) {
        return asked.turn_away(&app, asked.alone(), &problem).await;
    }
    let described = OnceLock::new();
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Promotion>| {
        let terms = accepted.state.terms().cloned();
        let terms = terms.expect("a promotion that was described has terms");
        let _once = described.set(terms.clone());
        let promotion = PromotionView::of(code.clone(), terms);
        DescribedPromotion { promotion, version: accepted.version }
    });
    let command = promotion::Command::Describe(terms.clone());
    let receipt = app
        .journal
        .execute::<Promotion>(code.as_str(), command, asked.alone(), wording)
        .await?;
    if receipt.verdict == Verdict::Accepted
        && !receipt.replayed
        && let Some(terms) = described.get()
    {
        // As the event has them, not as they were sent: memory is the same in every process.
        app.promises.described(&code, receipt.version, terms);
    }
    Ok(respond(receipt))
}

/// List promotions
///
/// Those that everybody may use at this moment and is told of, ordered by code.
#[utoipa::path(
    get, path = "/promotions", tag = "promotions",
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<PromotionView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("promotions");
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<CodeCursor>());
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[promotions::NAME]).await?;
        let (reads, now) = (app.read_models.reads(), Utc::now());
        let page = promotions::current(reads, now, limit, cursor.clone()).await?;
        let until = promotions::next_change(reads, now).await?;
        Ok(Computed::new(position, vec![Of::Promotions], &page).until(until))
    };
    app.answers.tell(&asking, key, compute).await
}

/// List all promotions
///
/// With how often they were used, ordered by code; also those that nobody is told of, that have ended
/// or that are switched off. `Accept: text/csv` gives every row that the filters leave, as a table of
/// one moment.
#[utoipa::path(
    get, path = "/promotions/all", tag = "promotions",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("active" = Option<bool>, Query, description = "Whether they can be used at all"),
        ("listed" = Option<bool>, Query, description = "Whether everybody is told of them"),
        ("automatic" = Option<bool>, Query, description = "Whether they apply by themselves"),
        ("at" = Option<String>, Query, description = "Begun and not ended then: time (RFC 3339) or day"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((Page<PromotionDetails> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_all(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let filter = promotions::Filter {
        active: parameters.flag("active"),
        listed: parameters.flag("listed"),
        automatic: parameters.flag("automatic"),
        at: parameters.instant("at"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        return tables::of_promotions(&app, &asking, filter).await;
    }
    let (position, _seat) = asking.seat(&app, &[promotions::NAME]).await?;
    let page = promotions::all(app.read_models.reads(), &filter, limit, cursor).await?;
    Ok(queries::show(position, &page))
}

/// Show a promotion
///
/// With how often it was used.
#[utoipa::path(
    get, path = "/promotions/{code}", tag = "promotions",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(("code" = String, Path, description = "Its code, in capitals or not")),
    responses((status = 200, description = "The promotion", body = PromotionDetails))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Readers,
    OfCode(code): OfCode,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &[promotions::NAME]).await?;
    let found = promotions::by_code(app.read_models.reads(), &code).await?;
    let found = found.ok_or_else(|| Problem::not_found("promotion").at(position))?;
    Ok(asking.show_mixed(position, found.version, &found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_read_exactly() {
        for (text, read) in [
            ("10", 1_000),
            ("12.5", 1_250),
            ("0.01", 1),
            ("100.00", 10_000),
            ("5.05", 505),
        ] {
            assert_eq!(basis_points(text), Ok(read), "{text}");
        }
        for bad in [
            "", "0", "0.00", "100.01", "101", "-1", "+1", "1.", ".5", "1.234", "1e1", "10%",
        ] {
            assert!(basis_points(bad).is_err(), "{bad}");
        }
    }
}
