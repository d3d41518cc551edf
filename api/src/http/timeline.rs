//! The timeline of an order: what happened, who did it and why, what came of it; for programs, for
//! spreadsheets, and on paper.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use projections::orders::Audience;
use projections::timeline::{self, Entry};
use sealing::head::SignedHead;
use sealing::{proofs, tables};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::formats::{Format, cell, show_csv, show_html};
use super::ownership::ToSee;
use super::parameters::{OfOrder, Parameters};
use super::problem::Problem;
use super::proofs::{HeadView, told};
use super::queries::{self, Asking};

/// What an order's events are about.
const AGGREGATES: [&str; 5] = ["order", "payment", "inventory", "person", "promotion"];

/// The timeline of an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineView {
    order_id: Uuid,
    /// Every event of the order, its payment and its stock that was asked for, in log order; as a tree,
    /// each with what followed from it
    items: Vec<Told>,
    /// The head that the proofs lead to, if proofs were asked for
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<HeadView>,
}

/// An event, and what stands with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    #[serde(flatten)]
    entry: Entry,
    /// That the event is in the log; absent while no head covers it
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<ProofView>,
    /// As a tree: what followed from it
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    consequences: Option<Vec<Told>>,
}

/// That an event is in the log that a head covers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProofView {
    leaf_index: u64,
    /// SHA-256 of a zero byte and the event's line, base64
    leaf_hash: String,
    /// Hashes from the leaf to the head's root (RFC 9162, 2.1.3), base64
    path: Vec<String>,
}

/// Which events to tell. What is not given does not restrict.
#[derive(Debug)]
struct Filter {
    aggregate: Option<String>,
    event: Option<String>,
    actor: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl Filter {
    fn of(parameters: &mut Parameters) -> Self {
        let names: Vec<&str> = Event::names().collect();
        Self {
            aggregate: parameters.one_of("aggregate", &AGGREGATES),
            event: parameters.one_of("type", &names),
            actor: parameters.text("actor"),
            since: parameters.instant("since"),
            until: parameters.instant("until"),
        }
    }

    fn lets_pass(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.aggregate, &entry.aggregate)
            && is(&self.event, &entry.event)
            && is(&self.actor, &entry.actor)
            && self.since.is_none_or(|since| since <= entry.at)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// Show an order's timeline
///
/// Every event of the order, its payment and its stock: a sentence, who did it and why, the request
/// behind it, and what it caused. A guest shows the order's token. As JSON, as CSV, or as a page to
/// print; as a tree, each event with what followed from it; with proofs, each with its proof that it
/// is in the log.
#[utoipa::path(
    get, path = "/orders/{id}/timeline", tag = "orders",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("token" = Option<String>, Query, description = "The order's token, for guests"),
        ("id" = Uuid, Path, description = "The order"),
        ("aggregate" = Option<String>, Query, description = "order, payment, inventory, promotion or person"),
        ("type" = Option<String>, Query, description = "Stored name, such as order.placed"),
        ("actor" = Option<String>, Query, description = "Who did it, such as `checkout`"),
        ("since" = Option<String>, Query, description = "Recorded then or later; time or day"),
        ("until" = Option<String>, Query, description = "Recorded before then"),
        ("view" = Option<String>, Query, description = "`list`, or `tree`: by cause (JSON only)"),
        ("proof" = Option<bool>, Query, description = "`true` attaches the proof of each event"),
        ("format" = Option<String>, Query,
            description = "json, csv or html; what `Accept` says if not given"),
    ),
    responses((
        status = 200, description = "What happened",
        content((TimelineView = "application/json"), (String = "text/csv"), (String = "text/html"))
    ))
)]
pub(crate) async fn show(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToSee,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let link = parameters.text("token");
    let filter = Filter::of(&mut parameters);
    let as_tree = parameters
        .one_of("view", &["list", "tree"])
        .is_some_and(|view| view == "tree");
    let with_proofs = parameters
        .one_of("proof", &["true", "false"])
        .is_some_and(|it| it == "true");
    let format = Format::wanted(&headers, &mut parameters);
    if as_tree && format != Format::Json {
        parameters.refuse("view", "is a tree in JSON only; ask for it with format=json");
    }
    parameters.finish()?;
    let audience = whose.order(&app, order_id, link).await?;
    let (position, _seat) = asking.seat(&app, &[timeline::NAME]).await?;
    let mut entries = timeline::of_order(app.read_models.reads(), order_id).await?;
    if entries.is_empty() {
        return Err(Problem::not_found("order").at(position));
    }
    if audience == Audience::Customer {
        let told = entries.into_iter().map(Entry::for_customer);
        entries = told.collect::<Result<_, _>>()?;
    }
    entries.retain(|entry| filter.lets_pass(entry));
    let (head, items) = if with_proofs {
        proven(&app, entries).await?
    } else {
        (None, entries.into_iter().map(Told::from).collect())
    };
    match format {
        Format::Json => {
            let items = if as_tree { tree(items) } else { items };
            let head = head.as_ref().map(HeadView::from);
            let view = TimelineView { order_id: order_id.0, items, head };
            Ok(queries::show(position, &view))
        }
        Format::Csv => {
            let csv = written(&items, head.as_ref())
                .map_err(|error| Problem::accident("write a timeline", &error))?;
            Ok(show_csv(position, &format!("timeline-{order_id}.csv"), csv))
        }
        Format::Html => {
            let page = Page { order_id, position, printed_at: Utc::now(), items: &items, head };
            let html = page
                .render()
                .map_err(|error| Problem::accident("write a timeline", &error))?;
            Ok(show_html(position, html))
        }
    }
}

impl From<Entry> for Told {
    fn from(entry: Entry) -> Self {
        Self { entry, proof: None, consequences: None }
    }
}

/// Attaches to each event its proof in the newest head. What no head covers yet has none.
async fn proven(
    app: &App,
    entries: Vec<Entry>,
) -> Result<(Option<SignedHead>, Vec<Told>), Problem> {
    let head = tables::newest(&app.pool)
        .await?
        .ok_or_else(|| Problem::not_sealed_yet(0))?;
    let covered = |entry: &&Entry| entry.position.unsigned_abs() <= head.head.size;
    let positions: Vec<u64> = entries
        .iter()
        .filter(covered)
        .map(|entry| entry.position.unsigned_abs())
        .collect();
    let proofs = proofs::inclusions(&app.pool, &positions, &head.head).await?;
    let mut proofs: HashMap<u64, ProofView> = positions
        .into_iter()
        .zip(proofs)
        .map(|(position, proof)| {
            let (leaf_hash, path) = (proof.leaf.to_string(), told(&proof.path));
            (position, ProofView { leaf_index: position - 1, leaf_hash, path })
        })
        .collect();
    let told = entries.into_iter().map(|entry| {
        let proof = proofs.remove(&entry.position.unsigned_abs());
        Told { proof, ..entry.into() }
    });
    let told = told.collect();
    Ok((Some(head), told))
}

/// Each event under the one that caused it; those whose cause is not told stand at the top.
fn tree(items: Vec<Told>) -> Vec<Told> {
    let mut roots = Vec::new();
    let mut waiting: HashMap<Uuid, Vec<Told>> = HashMap::new();
    let known: HashMap<Uuid, i64> = items
        .iter()
        .map(|told| (told.entry.event_id, told.entry.position))
        .collect();
    // A cause stands before what it causes, so from the end on every event's consequences are
    // complete by the time it is its turn.
    for mut told in items.into_iter().rev() {
        let mut consequences = waiting.remove(&told.entry.event_id).unwrap_or_default();
        consequences.reverse();
        told.consequences = Some(consequences);
        let cause = told.entry.causation_id.filter(|cause| {
            known
                .get(cause)
                .is_some_and(|position| *position < told.entry.position)
        });
        match cause {
            Some(cause) => waiting.entry(cause).or_default().push(told),
            None => roots.push(told),
        }
    }
    roots.reverse();
    roots
}

const COLUMNS: [&str; 18] = [
    "position",
    "at",
    "aggregate",
    "aggregate_id",
    "sequence",
    "event",
    "summary",
    "actor",
    "reason",
    "request_id",
    "event_id",
    "command_id",
    "correlation_id",
    "causation_id",
    "caused",
    "data",
    "leaf_hash",
    "proof",
];

/// As CSV. Lists are separated by spaces; a proof is the head's size and the path to its root.
fn written(items: &[Told], head: Option<&SignedHead>) -> Result<Vec<u8>, csv::Error> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(COLUMNS)?;
    for Told { entry, proof, .. } in items {
        let caused: Vec<String> = entry.caused.iter().map(ToString::to_string).collect();
        let size = head.map_or(0, |head| head.head.size);
        let path = |proof: &ProofView| format!("{size} {}", proof.path.join(" "));
        let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default()).into_owned();
        csv.write_record([
            entry.position.to_string(),
            entry.at.to_rfc3339(),
            entry.aggregate.clone(),
            cell(&entry.aggregate_id).into_owned(),
            entry.sequence.to_string(),
            entry.event.clone(),
            cell(&entry.summary).into_owned(),
            cell(&entry.actor).into_owned(),
            text(&entry.reason),
            text(&entry.request_id),
            entry.event_id.to_string(),
            entry.command_id.to_string(),
            entry.correlation_id.to_string(),
            entry
                .causation_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            caused.join(" "),
            entry.data.get().to_owned(),
            proof
                .as_ref()
                .map(|proof| proof.leaf_hash.clone())
                .unwrap_or_default(),
            proof.as_ref().map(path).unwrap_or_default(),
        ])?;
    }
    csv.into_inner().map_err(|error| error.into_error().into())
}

/// The timeline on paper.
#[derive(Template)]
#[template(path = "timeline.html")]
struct Page<'a> {
    order_id: OrderId,
    position: i64,
    printed_at: DateTime<Utc>,
    items: &'a [Told],
    head: Option<SignedHead>,
}

impl Page<'_> {
    /// The position of the event that caused this one, if it is on the page.
    fn cause(&self, told: &Told) -> Option<i64> {
        let cause = told.entry.causation_id?;
        let is_cause = |other: &&Told| other.entry.event_id == cause;
        self.items
            .iter()
            .find(is_cause)
            .map(|other| other.entry.position)
    }

    fn time(at: &DateTime<Utc>) -> String {
        at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn told(position: u8, cause: Option<u8>) -> Told {
        let id = |number: u8| Uuid::from_u128(number.into());
        let entry = Entry {
            position: position.into(),
            event_id: id(position),
            at: DateTime::UNIX_EPOCH,
            aggregate: "order".to_owned(),
            aggregate_id: "=cmd".to_owned(),
            sequence: 1,
            event: "order.placed".to_owned(),
            summary: "<b>placed</b>".to_owned(),
            actor: "guest".to_owned(),
            reason: Some("a \"reason\", and more".to_owned()),
            command_id: id(0),
            correlation_id: id(0),
            causation_id: cause.map(id),
            caused: vec![],
            request_id: None,
            data: RawValue::from_string("{\"type\":\"order.placed\"}".to_owned()).unwrap(),
        };
        entry.into()
    }

    fn shape(items: &[Told]) -> String {
        let of = |told: &Told| {
            let under = shape(told.consequences.as_deref().unwrap_or_default());
            format!("{}({under})", told.entry.position)
        };
        items.iter().map(of).collect()
    }

    #[test]
    fn every_event_stands_once_under_what_caused_it() {
        let items = vec![
            told(1, None),
            told(2, Some(1)),
            told(3, Some(1)),
            told(4, Some(2)),
            // Its cause is not told; and nothing stands under what comes after it, or under itself.
            told(5, Some(9)),
            told(6, Some(7)),
            told(7, Some(7)),
        ];
        assert_eq!(shape(&tree(items)), "1(2(4())3())5()6()7()");
    }

    #[test]
    fn a_row_can_be_read_back_and_no_cell_is_a_formula() {
        let csv = written(&[told(1, None)], None).unwrap();
        let mut rows = csv::Reader::from_reader(csv.as_slice());
        let row = rows.records().next().unwrap().unwrap();
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(&row[3], "'=cmd");
        assert_eq!(&row[8], "a \"reason\", and more");
        assert_eq!(&row[15], "{\"type\":\"order.placed\"}");
    }

    #[test]
    fn a_page_shows_what_people_wrote_and_obeys_none_of_it() {
        let items = [told(1, None), told(2, Some(1))];
        let page = Page {
            order_id: OrderId(Uuid::nil()),
            position: 2,
            printed_at: DateTime::UNIX_EPOCH,
            items: &items,
            head: None,
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<b>placed"), "{html}");
        assert!(html.contains("&#60;b&#62;placed") || html.contains("&lt;b&gt;placed"), "{html}");
        assert!(html.contains("because of 1"), "{html}");
    }
}
