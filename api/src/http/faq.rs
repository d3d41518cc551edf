//! Questions that are asked so often that the answer is public.

use std::fmt;
use std::str::FromStr;

use accounts::Role;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use projections::{BadCursor, Page};
use serde::Serialize;
use storefront::faq::{
    self, ANSWER_CHARS_MAX, After, Entry, Filter, NewEntry, PLACE_MAX, QUESTION_CHARS_MAX,
    TOPIC_CHARS_MAX,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::WriteFaqEntry;
use super::command::{Asked, answer};
use super::fields::{Body, Fields};
use super::identity::{Caller, Staff};
use super::parameters::{OfId, Parameters};
use super::problem::Problem;
use super::said::{Said, done, paged, tell};
use super::{App, keys};

/// Where an entry stands that does not say so: others can be put before it.
const PLACE_DEFAULT: i32 = 100;

/// A frequent question with its answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct FaqEntryView {
    id: Uuid,
    /// Under which heading
    #[schema(example = "Delivery")]
    topic: Option<String>,
    #[schema(example = "How long does it take?")]
    question: String,
    answer: String,
    /// Entries stand in this order
    place: i32,
    /// Whether everybody sees it; others are shown to staff alone
    published: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Entry> for FaqEntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.entry_id,
            topic: entry.topic,
            question: entry.question,
            answer: entry.answer,
            place: entry.place,
            published: entry.published,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        }
    }
}

/// The body of [`add`] and [`replace`].
#[derive(Debug)]
pub(crate) struct Writing(NewEntry);

impl Body for Writing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let topic = fields.optional_text("topic", TOPIC_CHARS_MAX);
        let question = fields.text("question", QUESTION_CHARS_MAX);
        let answer = fields.prose("answer", ANSWER_CHARS_MAX);
        let place = fields.optional_integer("place", 0..=PLACE_MAX.into());
        let published = fields.optional_flag("published");
        let place = place.map_or(Ok(PLACE_DEFAULT), i32::try_from).ok()?;
        let (question, answer) = (question?, answer?);
        let published = published.unwrap_or(true);
        Some(Self(NewEntry { topic, question, answer, place, published }))
    }
}

/// Where a page ended: a place, and an entry there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    place: i32,
    id: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.place, self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (place, id) = text.split_once('_').ok_or(BadCursor)?;
        let place = place.parse().map_err(|_| BadCursor)?;
        Ok(Self { place, id: id.parse().map_err(|_| BadCursor)? })
    }
}

/// List frequent questions
///
/// In their order. Staff also see what is not public.
#[utoipa::path(
    get, path = "/faq", tag = "community",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(
        ("topic" = Option<String>, Query, description = "Under this heading"),
        ("search" = Option<String>, Query, description = "Part of question or answer"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<FaqEntryView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let filter = Filter {
        with_hidden: caller.is_any_of(&[Role::Admin]),
        topic: parameters.text("topic"),
        search: parameters.text("search"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<Cursor>());
    parameters.finish()?;
    let after = cursor.map(|Cursor { place, id }| After { place, entry_id: id });
    // One more than asked for tells whether there is a next page.
    let found = faq::list(&app.pool, &filter, limit.saturating_add(1), after).await?;
    let items: Vec<_> = found.into_iter().map(FaqEntryView::from).collect();
    let at = |last: &FaqEntryView| Cursor { place: last.place, id: last.id };
    Ok(tell(StatusCode::OK, &paged(items, limit, at)))
}

/// Add a frequent question
///
/// Everything is asked once: 409 `question_stands`.
#[utoipa::path(
    post, path = "/faq", tag = "community", security(("staff" = [])),
    request_body = WriteFaqEntry,
    responses((status = 201, description = "The entry", body = FaqEntryView))
)]
pub(crate) async fn add(
    State(app): State<App>,
    _: Staff,
    asked: Asked<Writing>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let entry_id = keys::named(asked.command_id, "question");
    let by = asked.caller.to_string();
    let entry = faq::add(&app.pool, entry_id, &asked.body.0, &by).await?;
    let told = answer(StatusCode::CREATED, &FaqEntryView::from(entry));
    asked.remember(&app, asked.alone(), told).await
}

/// Replace a frequent question
#[utoipa::path(
    put, path = "/faq/{id}", tag = "community", security(("staff" = [])),
    request_body = WriteFaqEntry,
    params(("id" = Uuid, Path, description = "The entry")),
    responses((status = 200, description = "The entry", body = FaqEntryView))
)]
pub(crate) async fn replace(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(entry_id): OfId,
    Said(Writing(new)): Said<Writing>,
) -> Result<Response, Problem> {
    let entry = faq::replace(&app.pool, entry_id, &new, &caller.to_string()).await?;
    let entry = entry.ok_or_else(|| Problem::not_found("entry"))?;
    Ok(tell(StatusCode::OK, &FaqEntryView::from(entry)))
}

/// Delete a frequent question
///
/// A repetition is 404.
#[utoipa::path(
    delete, path = "/faq/{id}", tag = "community", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The entry")),
    responses((status = 204, description = "There is no such entry any more"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    _: Staff,
    OfId(entry_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    if faq::delete(&app.pool, entry_id).await? {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(Problem::not_found("entry"))
    }
}

impl From<faq::Error> for Problem {
    fn from(error: faq::Error) -> Self {
        use faq::Error as E;

        let conflict = |code| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match &error {
            E::Asked => conflict("question_stands"),
            E::TooMany => conflict("too_many_questions"),
            E::Database(cause) => Self::accident("ask for frequent questions", cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor { place: 10, id: Uuid::from_u128(7) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "_", "1", "x_y", "9999999999_0"] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
