//! The rules by which a payment provider is chosen where nobody names one: what they say, who has
//! changed them, and who would be asked.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::money::{Currency, Money};
use domain::placing::PaymentMethod;
use gateways::registry;
use gateways::routing::{Conditions, LeftOut, Wish};
use projections::{MoneyView, Page};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::routing::{Change, KeptRule, NewRule};

use super::bodies::WriteRoutingRule;
use super::fields::{Body, Fields};
use super::identity::{Caller, Readers, Staff};
use super::parameters::{OfId, Parameters};
use super::problem::Problem;
use super::said::{Said, done, tell};
use super::{App, countries};

/// Rules are moved about between others, so there is room on both sides.
const PRIORITY_MAX: i64 = 1_000_000;
/// Values of one condition: all countries there are, and some more.
const VALUES_MAX: usize = 300;
/// Providers of one rule: whoever has not been reached by the tenth is not going to be.
const GATEWAYS_MAX: usize = 10;
const NOTE_CHARS_MAX: usize = 500;

/// A rule of routing.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// Its name
    id: Uuid,
    /// Rules are tried by it, the lowest first
    priority: i32,
    /// Empty: any currency
    currencies: Vec<&'static str>,
    /// Empty: wherever the goods go
    countries: Vec<String>,
    /// Empty: however the customer pays
    #[schema(value_type = Vec<String>)]
    methods: Vec<PaymentMethod>,
    /// At least so much, in this currency only
    amount_from: Option<MoneyView>,
    /// At most so much, in this currency only
    amount_to: Option<MoneyView>,
    /// Who is asked, the first first
    gateways: Vec<String>,
    /// Whether it counts
    active: bool,
    /// What it is there for
    note: Option<String>,
    /// Who made it
    created_by: String,
    created_at: DateTime<Utc>,
    /// Who changed it last
    updated_by: String,
    updated_at: DateTime<Utc>,
}

/// All rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct RulesView {
    /// In the order in which they are tried
    items: Vec<RuleView>,
    /// Always null: there are never so many that they need a second page
    next_cursor: Option<String>,
}

/// A change of a rule.
#[derive(Serialize, ToSchema)]
#[schema(as = RoutingChangeView)]
pub(crate) struct ChangeView {
    /// Later changes have higher ones
    id: i64,
    rule_id: Uuid,
    /// `created`, `replaced` or `deleted`
    what: String,
    /// The rule as it was kept from then on, or, deleted, until then
    #[schema(value_type = Object)]
    rule: Value,
    /// Who
    changed_by: String,
    changed_at: DateTime<Utc>,
}

/// Who would be asked.
#[derive(Serialize, ToSchema)]
#[schema(as = RoutingChoiceView)]
pub(crate) struct ChoiceView {
    /// The rule that says so; null where there are no rules, or none that matches
    rule_id: Option<Uuid>,
    /// Who would be asked, the first first; empty if nobody would
    gateways: Vec<&'static str>,
    /// Everybody else
    left_out: Vec<LeftOutView>,
}

/// Somebody who would not be asked.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeftOutView {
    gateway: String,
    /// Why, as a sentence
    reason: String,
}

impl From<KeptRule> for RuleView {
    fn from(kept: KeptRule) -> Self {
        let KeptRule { rule, note, created_by, created_at, updated_by, updated_at } = kept;
        let conditions = rule.conditions;
        Self {
            id: rule.rule_id,
            priority: rule.priority,
            currencies: conditions.currencies.iter().map(|of| of.code()).collect(),
            countries: conditions.countries,
            methods: conditions.methods,
            amount_from: conditions.amount_from.map(Into::into),
            amount_to: conditions.amount_to.map(Into::into),
            gateways: rule.gateways,
            active: rule.active,
            note,
            created_by,
            created_at,
            updated_by,
            updated_at,
        }
    }
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        let Change { change_id, rule_id, what, rule, changed_by, changed_at } = change;
        Self { id: change_id, rule_id, what, rule, changed_by, changed_at }
    }
}

impl From<LeftOut> for LeftOutView {
    fn from(left_out: LeftOut) -> Self {
        Self { gateway: left_out.gateway.into_owned(), reason: left_out.why.to_string() }
    }
}

/// The body of [`create`] and [`replace`].
#[derive(Debug)]
pub(crate) struct Ruling(NewRule);

impl Body for Ruling {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let priority = fields.integer("priority", 0..=PRIORITY_MAX);
        let currencies = fields.words("currencies", VALUES_MAX, str::parse::<Currency>);
        let countries = fields.words("countries", VALUES_MAX, countries::parse);
        let methods = fields.words("methods", VALUES_MAX, method);
        let amount_from = fields.optional_money("amount_from", None);
        let amount_to = fields.optional_money("amount_to", None);
        let gateways = fields.words("gateways", GATEWAYS_MAX, known_gateway);
        let active = fields.optional_flag("active");
        let note = fields.optional_text("note", NOTE_CHARS_MAX);

        let amounts_agree = amounts_agree(fields, (amount_from, amount_to), currencies.as_deref());
        let gateways = gateways.and_then(|names| some_of(fields, names));
        let conditions = Conditions {
            currencies: currencies?,
            countries: countries?,
            methods: methods?,
            amount_from,
            amount_to,
        };
        let gateways = gateways?;
        let all_can = all_can(fields, &gateways, &conditions);
        let priority = i32::try_from(priority?).ok()?;
        let active = active.unwrap_or(true);
        let rule = NewRule { priority, conditions, gateways, active, note };
        (amounts_agree && all_can).then_some(Self(rule))
    }
}

fn method(name: &str) -> Result<PaymentMethod, String> {
    let mut names = PaymentMethod::NAMES.iter();
    let known = names.find(|(of, _)| *of == name);
    known.map(|(_, method)| *method).ok_or_else(|| {
        let names = PaymentMethod::NAMES.map(|(name, _)| name);
        format!("must be one of {}", names.join(", "))
    })
}

/// One that is switched off now may be named: it is left out until it is on.
fn known_gateway(name: &str) -> Result<String, String> {
    let provider = registry::provider(name).ok_or_else(|| {
        let names: Vec<&str> = registry::providers().map(|of| of.name).collect();
        format!("must be one of {}", names.join(", "))
    })?;
    Ok(provider.name.to_owned())
}

fn some_of(fields: &Fields<'_>, gateways: Vec<String>) -> Option<Vec<String>> {
    if gateways.is_empty() {
        fields.flaw("gateways", format!("must be a list of 1 to {GATEWAYS_MAX}"));
        return None;
    }
    Some(gateways)
}

/// Whether amounts are a range, in the one currency of the rule.
fn amounts_agree(
    fields: &Fields<'_>,
    (from, to): (Option<Money>, Option<Money>),
    currencies: Option<&[Currency]>,
) -> bool {
    let mut flaws = Vec::new();
    if let (Some(from), Some(to)) = (from, to) {
        if from.currency != to.currency {
            flaws.push(("amount_to", "must be in the currency of amount_from".to_owned()));
        } else if to.minor < from.minor {
            flaws.push(("amount_to", "must not be less than amount_from".to_owned()));
        }
    }
    let currency = from.or(to).map(|money| money.currency);
    if let (Some(currency), Some(currencies)) = (currency, currencies)
        && currencies.iter().any(|other| *other != currency)
    {
        let detail = format!("must be {currency} alone, in which the amounts are, or left out");
        flaws.push(("currencies", detail));
    }
    for (name, detail) in &flaws {
        fields.flaw(name, detail.as_str());
    }
    flaws.is_empty()
}

/// Whether each provider can be asked under these conditions at all.
fn all_can(fields: &Fields<'_>, gateways: &[String], conditions: &Conditions) -> bool {
    let mut all_can = true;
    for (index, gateway) in gateways.iter().enumerate() {
        let why = registry::provider(gateway)
            .and_then(|provider| conditions.exclude(gateway, provider.capabilities));
        if let Some(why) = why {
            fields.flaw_at("gateways", index, why);
            all_can = false;
        }
    }
    all_can
}

/// List the rules of routing
///
/// In the order in which they are tried. The first active one that matches an order says which
/// payment providers are asked; where there are none, `sandbox` is if it is on, and else all that
/// are on and can take the money.
#[utoipa::path(
    get, path = "/routing-rules", tag = "payments",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    responses((status = 200, description = "The rules", body = RulesView))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let rules = app.routing.rules().await?;
    let items = rules.into_iter().map(RuleView::from).collect();
    Ok(tell(StatusCode::OK, &RulesView { items, next_cursor: None }))
}

/// Make a rule of routing
///
/// It counts at once; other processes hear of it within seconds. A repetition is refused, because
/// no two rules have the same priority.
#[utoipa::path(
    post, path = "/routing-rules", tag = "payments", security(("staff" = [])),
    request_body = WriteRoutingRule,
    responses((status = 201, description = "The rule", body = RuleView))
)]
pub(crate) async fn create(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    Said(Ruling(new)): Said<Ruling>,
) -> Result<Response, Problem> {
    let rule = app.routing.create(&new, &caller.to_string()).await?;
    Ok(tell(StatusCode::CREATED, &RuleView::from(rule)))
}

/// Replace a rule of routing
///
/// What is left out is taken back to what it is without it. A repetition changes nothing more.
#[utoipa::path(
    put, path = "/routing-rules/{id}", tag = "payments", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The rule's id")),
    request_body = WriteRoutingRule,
    responses((status = 200, description = "The rule", body = RuleView))
)]
pub(crate) async fn replace(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(rule_id): OfId,
    Said(Ruling(new)): Said<Ruling>,
) -> Result<Response, Problem> {
    let rule = app
        .routing
        .replace(rule_id, &new, &caller.to_string())
        .await?;
    let rule = rule.ok_or_else(|| Problem::not_found("rule"))?;
    Ok(tell(StatusCode::OK, &RuleView::from(rule)))
}

/// Delete a rule of routing
///
/// What it said is kept among the changes. Where the last active one goes, it is as if there had
/// never been one.
#[utoipa::path(
    delete, path = "/routing-rules/{id}", tag = "payments", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses((status = 204, description = "There is no such rule any more"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(rule_id): OfId,
) -> Result<Response, Problem> {
    if app.routing.delete(rule_id, &caller.to_string()).await? {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(Problem::not_found("rule"))
    }
}

/// List changes of the rules of routing
///
/// Newest first: who changed which rule, when, and what it said from then on.
#[utoipa::path(
    get, path = "/routing-rules/changes", tag = "payments",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ChangeView>))
)]
pub(crate) async fn list_changes(
    State(app): State<App>,
    _: Readers,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let limit = parameters.limit();
    let before = parameters.integer("cursor", 1..=i64::MAX);
    parameters.finish()?;
    // One more than asked for tells whether there is a next page.
    let found = app.routing.changes(limit.saturating_add(1), before).await?;
    let mut items: Vec<ChangeView> = found.into_iter().map(Into::into).collect();
    let more = usize::try_from(limit).is_ok_and(|limit| limit < items.len());
    items.pop_if(|_| more);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(tell(StatusCode::OK, &Page { items, next_cursor }))
}

/// Try the rules of routing out
///
/// Which payment providers would be asked at this moment, in which order, and why the others would
/// not. Nothing is asked of anybody.
#[utoipa::path(
    get, path = "/routing-rules/choice", tag = "payments",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("currency" = String, Query, description = "ISO 4217 code"),
        ("country" = String, Query, description = "Where the goods go, ISO 3166-1 alpha-2"),
        ("method" = String, Query, description = "How the customer pays, such as `credit_card`"),
        ("amount" = String, Query, description = "Decimal in the currency, such as `15.30`"),
    ),
    responses((status = 200, description = "Who would be asked", body = ChoiceView))
)]
pub(crate) async fn choice(
    State(app): State<App>,
    _: Readers,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let currency = parameters.required("currency", str::parse::<Currency>);
    let country = parameters.required("country", countries::parse);
    let method = parameters.required("method", method);
    let amount = parameters.required("amount", |text| match currency {
        Some(currency) => Money::parse(text, currency)
            .map(Some)
            .map_err(|bad| bad.to_string()),
        // That there is none has been taken down already.
        None => Ok(None),
    });
    parameters.finish()?;
    let (Some(Some(amount)), Some(country), Some(method)) = (amount, country, method) else {
        return Err(Problem::internal());
    };
    let wish = Wish { amount, country: &country, method, token: None };
    let route = app.routing.route(&wish);
    let left_out = route.left_out.into_iter().map(Into::into).collect();
    let view = ChoiceView { rule_id: route.rule_id, gateways: route.gateways, left_out };
    Ok(tell(StatusCode::OK, &view))
}
