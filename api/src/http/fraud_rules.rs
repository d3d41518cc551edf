//! Fraud rules, as administrators keep them. Rows, and no events: what follows from them is in the
//! log, with their names and reasons.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::identifiers::{Identifier, Kind};
use domain::risk::Risk;
use domain::screening::{Against, Condition, ORDERS_MAX, Outcome, Party, WINDOW_SECONDS_MAX};
use projections::{MoneyView, Page};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::fraud::{FraudRule, NewRule};

use super::App;
use super::bodies::WriteFraudRule;
use super::fields::{Body, Fields};
use super::identity::{Caller, Staff};
use super::moves::REASON_CHARS_MAX;
use super::order_body::NAME_CHARS_MAX;
use super::parameters::{OfId, Parameters};
use super::problem::Problem;
use super::said::{Said, done, tell};

/// Where a rule stands that nobody gave a place.
const PRIORITY_DEFAULT: i64 = 100;
const PRIORITY_MAX: i64 = 1_000_000;
/// Longest value of an identifier: an e-mail address has at most 320 characters.
pub(super) const VALUE_CHARS_MAX: usize = 320;
const KINDS: [(&str, ConditionKind); 6] = [
    ("velocity", ConditionKind::Velocity),
    ("amount", ConditionKind::Amount),
    ("country_mismatch", ConditionKind::CountryMismatch),
    ("blocked", ConditionKind::Blocked),
    ("is", ConditionKind::Is),
    ("provider_risk", ConditionKind::ProviderRisk),
];

#[derive(Debug, Clone, Copy)]
enum ConditionKind {
    Velocity,
    Amount,
    CountryMismatch,
    Blocked,
    Is,
    ProviderRisk,
}

/// When a rule holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum ConditionView {
    /// One order too many, or too much.
    Velocity {
        #[schema(value_type = String, example = "email")]
        by: Party,
        #[serde(skip_serializing_if = "Option::is_none")]
        orders: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<MoneyView>,
        window_seconds: u32,
    },
    /// A total above this.
    Amount { above: MoneyView },
    /// Goods that go to another country.
    CountryMismatch {
        #[schema(value_type = String, example = "card")]
        with: Against,
    },
    /// Something that is blocked.
    Blocked {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, example = "email")]
        what: Option<Kind>,
    },
    /// One particular customer, place or card; the value as it is compared.
    Is {
        #[schema(value_type = String, example = "email")]
        what: Kind,
        value: String,
    },
    /// A payment that its provider finds risky.
    ProviderRisk {
        #[schema(value_type = String, example = "elevated")]
        at_least: Risk,
    },
}

impl From<Condition> for ConditionView {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Velocity { by, orders, amount, window_seconds } => {
                Self::Velocity { by, orders, amount: amount.map(Into::into), window_seconds }
            }
            Condition::Amount { above } => Self::Amount { above: above.into() },
            Condition::CountryMismatch { with } => Self::CountryMismatch { with },
            Condition::Blocked { what } => Self::Blocked { what },
            Condition::Is { identifier: Identifier { kind: what, value } } => {
                Self::Is { what, value }
            }
            Condition::ProviderRisk { at_least } => Self::ProviderRisk { at_least },
        }
    }
}

/// A fraud rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudRuleView {
    id: Uuid,
    /// What reasons call it
    name: String,
    /// `accept`, `review` or `refuse`
    #[schema(value_type = String, example = "review")]
    outcome: Outcome,
    condition: ConditionView,
    /// Rules are asked in this order, the smallest first
    priority: i32,
    /// What it is for
    note: Option<String>,
    /// Whether it is asked at all
    active: bool,
    /// Who made it
    created_by: String,
    created_at: DateTime<Utc>,
    /// Who changed it last
    updated_by: String,
    updated_at: DateTime<Utc>,
}

impl From<FraudRule> for FraudRuleView {
    fn from(kept: FraudRule) -> Self {
        let NewRule { name, priority, outcome, condition, note, active } = kept.rule;
        Self {
            id: kept.rule_id,
            name,
            outcome,
            condition: condition.into(),
            priority,
            note,
            active,
            created_by: kept.created_by,
            created_at: kept.created_at,
            updated_by: kept.updated_by,
            updated_at: kept.updated_at,
        }
    }
}

/// The body of [`make`] and [`replace`].
#[derive(Debug)]
pub(crate) struct Ruling(NewRule);

impl Body for Ruling {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let outcome = fields.one_of("outcome", &Outcome::NAMES);
        let condition = fields.object("condition", condition);
        let priority = fields.optional_integer("priority", 0..=PRIORITY_MAX);
        let priority = i32::try_from(priority.unwrap_or(PRIORITY_DEFAULT)).ok();
        let note = fields.optional_text("note", REASON_CHARS_MAX);
        let active = fields.optional_flag("active").unwrap_or(true);
        let (name, outcome, condition) = (name?, outcome?, condition?);
        Some(Self(NewRule { name, outcome, condition, priority: priority?, note, active }))
    }
}

fn condition(fields: &mut Fields<'_>) -> Option<Condition> {
    Some(match fields.one_of("kind", &KINDS)? {
        ConditionKind::Velocity => velocity(fields)?,
        ConditionKind::Amount => Condition::Amount { above: fields.money("above")? },
        ConditionKind::CountryMismatch => {
            Condition::CountryMismatch { with: fields.one_of("with", &Against::NAMES)? }
        }
        ConditionKind::Blocked => {
            Condition::Blocked { what: fields.optional_one_of("what", &Kind::NAMES) }
        }
        ConditionKind::Is => {
            let identifier = identifier(fields, "what")?;
            Condition::Is { identifier }
        }
        ConditionKind::ProviderRisk => {
            Condition::ProviderRisk { at_least: fields.one_of("at_least", &Risk::NAMES)? }
        }
    })
}

fn velocity(fields: &mut Fields<'_>) -> Option<Condition> {
    let by = fields.one_of("by", &Party::NAMES);
    let orders = fields.optional_integer("orders", 0..=i64::from(ORDERS_MAX));
    let amount = fields.optional_money("amount", None);
    let window_seconds = fields.integer("window_seconds", 1..=i64::from(WINDOW_SECONDS_MAX));
    if !fields.has("orders") && !fields.has("amount") {
        fields.flaw("orders", "is missing; give orders, amount or both");
    }
    let orders = orders.and_then(|orders| u32::try_from(orders).ok());
    let window_seconds = u32::try_from(window_seconds?).ok()?;
    Some(Condition::Velocity { by: by?, orders, amount, window_seconds })
}

/// A kind and its value, in the form in which it is compared.
pub(super) fn identifier(fields: &mut Fields<'_>, kind: &'static str) -> Option<Identifier> {
    let kind = fields.one_of(kind, &Kind::NAMES);
    let value = fields.text("value", VALUE_CHARS_MAX);
    let identifier = Identifier::listed(kind?, &value?);
    identifier
        .map_err(|detail| fields.flaw("value", detail))
        .ok()
}

/// List fraud rules
///
/// In the order in which they are asked; all of them.
#[utoipa::path(
    get, path = "/fraud-rules", tag = "fraud", security(("staff" = [])),
    responses((status = 200, description = "The rules", body = Page<FraudRuleView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let items: Vec<FraudRuleView> = app
        .fraud
        .rules()
        .await?
        .into_iter()
        .map(Into::into)
        .collect();
    Ok(tell(StatusCode::OK, &Page { items, next_cursor: None }))
}

/// Make a fraud rule
///
/// Orders are judged by it at once; other processes hear of it within seconds. A repetition is
/// refused, because names are given once.
#[utoipa::path(
    post, path = "/fraud-rules", tag = "fraud", security(("staff" = [])),
    request_body = WriteFraudRule,
    responses((status = 201, description = "The rule", body = FraudRuleView))
)]
pub(crate) async fn make(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    Said(Ruling(new)): Said<Ruling>,
) -> Result<Response, Problem> {
    let rule = app.fraud.add_rule(&new, &caller.to_string()).await?;
    Ok(tell(StatusCode::CREATED, &FraudRuleView::from(rule)))
}

/// Replace a fraud rule
///
/// All of it. What was decided by the old one stays as it is.
#[utoipa::path(
    put, path = "/fraud-rules/{id}", tag = "fraud", security(("staff" = [])),
    request_body = WriteFraudRule,
    params(("id" = Uuid, Path, description = "The rule")),
    responses((status = 200, description = "The rule", body = FraudRuleView))
)]
pub(crate) async fn replace(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(rule_id): OfId,
    Said(Ruling(new)): Said<Ruling>,
) -> Result<Response, Problem> {
    let rule = app
        .fraud
        .replace_rule(rule_id, &new, &caller.to_string())
        .await?;
    let rule = rule.ok_or_else(|| Problem::not_found("fraud rule"))?;
    Ok(tell(StatusCode::OK, &FraudRuleView::from(rule)))
}

/// Delete a fraud rule
#[utoipa::path(
    delete, path = "/fraud-rules/{id}", tag = "fraud", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The rule")),
    responses((status = 204, description = "The rule is asked no more"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    _: Staff,
    OfId(rule_id): OfId,
) -> Result<Response, Problem> {
    if app.fraud.delete_rule(rule_id).await? {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(Problem::not_found("fraud rule"))
    }
}
