//! Reconciliation over HTTP: asked for by staff, answered line by line while it runs.
//!
//! The answer is one stream, so that nothing has to be kept between requests: whoever goes away ends
//! it, and another run repairs what is left.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{Days, NaiveDate, NaiveTime};
use gateways::listing::{Span, What};
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::reconciling::statement::{BYTES_MAX, Statement};
use workers::reconciling::{Difference, Line, Mode, Reconciliation, Source, Summary};

use super::App;
use super::command::read;
use super::identity::Staff;
use super::parameters::Parameters;
use super::problem::Problem;

const NDJSON: &str = "application/x-ndjson";
/// Lines that wait for a slow client; the work then waits as well.
const LINES_MAX: usize = 64;
/// Longest stretch: what is listed by a provider for longer is asked for in parts.
const DAYS_MAX: i64 = 366;

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum LineView {
    /// How far it has come.
    Progress(SummaryView),
    /// A row of the statement that could not be read.
    Rejected {
        /// Line of the file, from 1
        at_line: u64,
        /// What is wrong with it
        reason: String,
        /// The row, shortened
        row: String,
    },
    /// A difference.
    Difference(DifferenceView),
    /// The last line: all of it has been compared.
    Done(SummaryView),
    /// The last line: it could not go on.
    Failed {
        /// Why
        detail: String,
    },
}

/// What it came to, or has come to so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryView {
    /// Entries of the provider's lists, or rows of the statement
    listed: u64,
    /// Of these, those that agree with the log
    agree: u64,
    /// Captures and refunds of the log that were looked for there
    in_log: u64,
    /// Differences, repaired or not
    differences: u64,
    /// Differences that are none any more
    repaired: u64,
    /// Differences that staff see now among the parked webhooks
    parked: u64,
    /// Differences that are still there
    left: u64,
    /// Rows that could not be read
    rejected: u64,
}

/// A difference between a provider and the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceView {
    /// `missing_in_log`, `missing_at_provider`, `amount_differs`, `currency_differs`,
    /// `state_differs`, `unknown_money`, `unknown_refund` or `webhook_undelivered`
    #[schema(example = "missing_in_log")]
    kind: &'static str,
    /// `payment` or `refund`
    #[schema(example = "payment")]
    what: &'static str,
    /// Our name for it at the provider
    reference: Option<String>,
    /// The provider's name for it
    provider_reference: Option<String>,
    /// The payment it is about, if it is ours
    payment_id: Option<Uuid>,
    /// What the provider says
    #[schema(example = "succeeded 15.30 GBP")]
    there: String,
    /// What the log says
    #[schema(example = "accepted 15.30 GBP")]
    here: String,
    /// `reported`, `repaired`, `parked`, or `left` for a person
    #[schema(example = "repaired")]
    outcome: &'static str,
}

impl From<Summary> for SummaryView {
    fn from(sum: Summary) -> Self {
        Self {
            listed: sum.listed,
            agree: sum.agree,
            in_log: sum.in_log,
            differences: sum.differences,
            repaired: sum.repaired,
            parked: sum.parked,
            left: sum.left(),
            rejected: sum.rejected,
        }
    }
}

impl From<Difference> for DifferenceView {
    fn from(difference: Difference) -> Self {
        Self {
            kind: difference.kind.name(),
            what: match difference.what {
                What::Payment => "payment",
                What::Refund => "refund",
            },
            reference: difference.reference,
            provider_reference: difference.provider_reference,
            payment_id: difference.payment_id.map(|payment_id| payment_id.0),
            there: difference.there,
            here: difference.here,
            outcome: difference.fate.name(),
        }
    }
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        match line {
            Line::Progress(sum) => Self::Progress(sum.into()),
            Line::Rejected(rejected) => Self::Rejected {
                at_line: rejected.line,
                reason: rejected.reason,
                row: rejected.row,
            },
            Line::Difference(difference) => Self::Difference(difference.into()),
            Line::Done(sum) => Self::Done(sum.into()),
            Line::Failed(detail) => Self::Failed { detail },
        }
    }
}

/// Reconcile with a provider
///
/// Holds what the provider lists for these days (UTC), or the statement in the body, against the
/// log, both ways, and answers line by line until `done` or `failed`. With `repair=true` the provider
/// is asked about what differs, as if a webhook had come, and what belongs to nobody is parked for
/// staff. Needs no `Idempotency-Key`: a second run finds nothing that the first has repaired.
#[utoipa::path(
    post, path = "/reconciliations", tag = "payments", security(("staff" = [])),
    params(
        ("gateway" = String, Query, description = "The provider, such as `stripe`"),
        ("from" = String, Query, description = "First day, such as 2026-11-01"),
        ("to" = String, Query, description = "Last day, included"),
        ("repair" = Option<bool>, Query, description = "Whether to repair; `false` if not given"),
    ),
    request_body(
        content_type = "text/csv", content = Option<String>,
        description = "A statement, where the provider has no lists or they are not to be used: \
                       columns `reference`, `amount`, `currency`, `status`, and if known `what`, \
                       `provider_reference`, `at`"
    ),
    responses((
        status = 200, description = "Lines, the last of which is `done` or `failed`",
        content((LineView = "application/x-ndjson"))
    ))
)]
pub(crate) async fn reconcile(
    State(app): State<App>,
    _: Staff,
    mut parameters: Parameters,
    request: Request,
) -> Result<Response, Problem> {
    let gateway = parameters.required("gateway", |text| Ok::<_, Infallible>(text.to_owned()));
    let span = span(&mut parameters);
    let repair = parameters.one_of("repair", &["true", "false"]);
    parameters.finish()?;
    let gateway = gateway.as_deref().and_then(|name| app.registry.get(name));
    let gateway = gateway.ok_or_else(|| Problem::not_found("payment provider"))?;
    let (parts, body) = request.into_parts();
    let statement = read(body, BYTES_MAX).await?;
    let source = if statement.is_empty() {
        Source::Lists
    } else {
        Source::Statement(statement_of(&parts.headers, statement)?)
    };
    if matches!(source, Source::Lists) && gateway.list(&span, None).is_none() {
        let name = gateway.name();
        let detail = format!("{name} has no lists; send a statement of it (text/csv)");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "statement_needed", detail));
    }
    let permit = app.reconciling.clone().try_acquire_owned();
    let permit = permit.map_err(|_taken| {
        let detail = "another reconciliation is running; wait until it is done";
        Problem::new(StatusCode::CONFLICT, "already_reconciling", detail)
    })?;
    let reconciliation = Reconciliation {
        providers: app.providers(),
        inbox: app.inbox.clone(),
        gateway: gateway.clone(),
        span,
        source,
        mode: match repair.as_deref() {
            Some("true") => Mode::Repair,
            _ => Mode::Report,
        },
    };
    let (tell, told) = mpsc::channel(LINES_MAX);
    tokio::spawn(async move {
        let last = reconciliation.run(&tell).await;
        // Before the last line: whoever has read it may begin the next run.
        drop(permit);
        if let Some(last) = last {
            // Whoever has gone does not miss it.
            let _gone = tell.send(last).await;
        }
    });
    let headers = [(header::CONTENT_TYPE, NDJSON)];
    Ok((headers, Body::from_stream(lines(told))).into_response())
}

/// Both days are included.
fn span(parameters: &mut Parameters) -> Span {
    let mut day = |name| parameters.required(name, str::parse::<NaiveDate>);
    let (from, to) = (day("from"), day("to"));
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    if to < from {
        parameters.refuse("to", "is before `from`");
    } else if DAYS_MAX <= (to - from).num_days() {
        parameters.refuse("to", "is more than 366 days from `from`; reconcile in parts");
    }
    let until = to.checked_add_days(Days::new(1)).unwrap_or(to);
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    Span { from: midnight(from), until: midnight(until) }
}

fn statement_of(headers: &HeaderMap, bytes: Bytes) -> Result<Statement, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("text/csv") {
        let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
        return Err(Problem::new(status, code, "send a statement as Content-Type: text/csv"));
    }
    Statement::of(bytes.into()).map_err(|wrong| {
        let detail = wrong.to_string();
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_statement", detail)
    })
}

fn lines(
    told: mpsc::Receiver<Line>,
) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + Send {
    futures::stream::unfold(told, |mut told| async move {
        let line = LineView::from(told.recv().await?);
        let mut bytes = serde_json::to_vec(&line).expect("our views have string keys only");
        bytes.push(b'\n');
        Some((Ok(bytes.into()), told))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_included_at_both_ends_and_bounded() {
        let of = |query: &str| {
            let mut parameters = Parameters::of(query);
            let span = span(&mut parameters);
            parameters.finish().map(|()| span).ok()
        };
        let day = of("from=2026-11-21&to=2026-11-21").unwrap();
        assert_eq!((day.until - day.from).num_hours(), 24);
        assert!(of("from=2026-01-01&to=2026-12-31").is_some());
        for query in [
            "",
            "from=2026-11-21",
            "from=2026-11-21&to=2026-11-20",
            "from=2025-01-01&to=2026-12-31",
            "from=soon&to=2026-11-20",
        ] {
            assert_eq!(of(query), None, "{query}");
        }
    }
}
