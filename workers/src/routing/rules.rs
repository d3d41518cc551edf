//! The rules of routing as they are kept, who has changed them, and when.

use chrono::{DateTime, Utc};
use domain::money::{Currency, Money};
use domain::placing::PaymentMethod;
use gateways::routing::{Conditions, Rule};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::Routing;

/// Most rules: every process holds them in memory and tries one after another for each order.
pub const RULES_MAX: i64 = 100;

/// A rule as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRule {
    /// What it says.
    pub rule: Rule,
    /// What it is there for, for people.
    pub note: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who changed it last.
    pub updated_by: String,
    /// When.
    pub updated_at: DateTime<Utc>,
}

/// A rule as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// Rules are tried by it, the lowest first.
    pub priority: i32,
    /// What it is for.
    pub conditions: Conditions,
    /// Who is asked, the first first.
    pub gateways: Vec<String>,
    /// Whether it counts.
    pub active: bool,
    /// What it is there for, for people.
    pub note: Option<String>,
}

/// A change of a rule.
#[derive(Debug, Clone, FromRow)]
pub struct Change {
    /// Later changes have higher ones.
    pub change_id: i64,
    /// Which rule.
    pub rule_id: Uuid,
    /// `created`, `replaced` or `deleted`.
    pub what: String,
    /// The rule's row from then on, or, deleted, until then.
    pub rule: Value,
    /// Who.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// Why a rule is not kept.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// Which of the two came first would be anybody's guess.
    #[error("another rule has the priority {0}")]
    PriorityTaken(i32),
    /// See [`RULES_MAX`].
    #[error("there may be {RULES_MAX} rules at most")]
    TooMany,
    /// An accident.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[derive(FromRow)]
struct Row {
    rule_id: Uuid,
    priority: i32,
    currencies: Vec<String>,
    countries: Vec<String>,
    methods: Vec<String>,
    amount_currency: Option<String>,
    amount_from_minor: Option<i64>,
    amount_to_minor: Option<i64>,
    gateways: Vec<String>,
    active: bool,
    note: Option<String>,
    created_by: String,
    created_at: DateTime<Utc>,
    updated_by: String,
    updated_at: DateTime<Utc>,
}

impl Row {
    /// `None` where a newer program has written what this one cannot read.
    fn read(self) -> Option<KeptRule> {
        let currencies: Option<Vec<Currency>> = self
            .currencies
            .iter()
            .map(|code| code.parse().ok())
            .collect();
        let methods: Option<Vec<PaymentMethod>> =
            self.methods.iter().map(|name| method(name)).collect();
        let currency = match &self.amount_currency {
            Some(code) => Some(code.parse::<Currency>().ok()?),
            None => None,
        };
        let money = |minor: Option<i64>| Some(Money { minor: minor?, currency: currency? });
        let conditions = Conditions {
            currencies: currencies?,
            countries: self.countries,
            methods: methods?,
            amount_from: money(self.amount_from_minor),
            amount_to: money(self.amount_to_minor),
        };
        let rule = Rule {
            rule_id: self.rule_id,
            priority: self.priority,
            conditions,
            gateways: self.gateways,
            active: self.active,
        };
        Some(KeptRule {
            rule,
            note: self.note,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_by: self.updated_by,
            updated_at: self.updated_at,
        })
    }
}

fn method(name: &str) -> Option<PaymentMethod> {
    let mut names = PaymentMethod::NAMES.iter();
    names.find(|(of, _)| *of == name).map(|(_, method)| *method)
}

fn name(method: PaymentMethod) -> &'static str {
    let mut names = PaymentMethod::NAMES.iter();
    names
        .find(|(_, of)| *of == method)
        .map_or("", |(name, _)| name)
}

/// Every rule, in the order in which they are tried.
pub(super) async fn all(pool: &PgPool) -> sqlx::Result<Vec<KeptRule>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select rule_id, priority, currencies, countries, methods, amount_currency, \
         amount_from_minor, amount_to_minor, gateways, active, note, created_by, created_at, \
         updated_by, updated_at \
         from routing_rules order by priority limit $1",
    )
    .bind(RULES_MAX)
    .fetch_all(pool)
    .await?;
    let read = |row: Row| {
        let rule_id = row.rule_id;
        let kept = row.read();
        if kept.is_none() {
            tracing::error!(rule.id = %rule_id, "a rule of routing cannot be read and is left out");
        }
        kept
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

impl Routing {
    /// Every rule, in the order in which they are tried.
    pub async fn rules(&self) -> sqlx::Result<Vec<KeptRule>> {
        all(&self.0.pool).await
    }

    /// Makes a rule, which counts at once here and within seconds elsewhere.
    pub async fn create(&self, new: &NewRule, by: &str) -> Result<KeptRule, RuleError> {
        let row = self
            .write(include_str!("create.sql"), Uuid::now_v7(), new, by)
            .await?;
        row.ok_or(RuleError::TooMany)
    }

    /// Replaces a rule; `None` if there is none.
    pub async fn replace(
        &self,
        rule_id: Uuid,
        new: &NewRule,
        by: &str,
    ) -> Result<Option<KeptRule>, RuleError> {
        self.write(include_str!("replace.sql"), rule_id, new, by)
            .await
    }

    async fn write(
        &self,
        sql: &'static str,
        rule_id: Uuid,
        new: &NewRule,
        by: &str,
    ) -> Result<Option<KeptRule>, RuleError> {
        let NewRule { priority, conditions, gateways, active, note } = new;
        let codes: Vec<&str> = conditions.currencies.iter().map(|of| of.code()).collect();
        let methods: Vec<&str> = conditions.methods.iter().map(|of| name(*of)).collect();
        let (from, to) = (conditions.amount_from, conditions.amount_to);
        let row: Option<Row> = sqlx::query_as(sql)
            .bind(rule_id)
            .bind(priority)
            .bind(codes)
            .bind(&conditions.countries)
            .bind(methods)
            .bind(from.or(to).map(|money| money.currency.code()))
            .bind(from.map(|money| money.minor))
            .bind(to.map(|money| money.minor))
            .bind(gateways)
            .bind(active)
            .bind(note)
            .bind(by)
            .bind(Utc::now())
            .bind(RULES_MAX)
            .fetch_optional(&self.0.pool)
            .await
            .map_err(|error| refusal(error, *priority))?;
        tracing::info!(rule.id = %rule_id, by, "a rule of routing was written");
        self.learn().await?;
        Ok(row.and_then(Row::read))
    }

    /// Deletes a rule; false if there is none.
    pub async fn delete(&self, rule_id: Uuid, by: &str) -> sqlx::Result<bool> {
        let deleted: Option<i64> = sqlx::query_scalar(
            "with deleted as (delete from routing_rules where rule_id = $1 returning *) \
             insert into routing_changes (rule_id, what, rule, changed_by, changed_at) \
             select rule_id, 'deleted', to_jsonb(deleted), $2, $3 from deleted \
             returning change_id",
        )
        .bind(rule_id)
        .bind(by)
        .bind(Utc::now())
        .fetch_optional(&self.0.pool)
        .await?;
        tracing::info!(rule.id = %rule_id, by, "a rule of routing was deleted");
        self.learn().await?;
        Ok(deleted.is_some())
    }

    /// What has been changed, newest first, before this change if given.
    pub async fn changes(&self, limit: i64, before: Option<i64>) -> sqlx::Result<Vec<Change>> {
        sqlx::query_as(
            "select change_id, rule_id, what, rule, changed_by, changed_at from routing_changes \
             where $2::bigint is null or change_id < $2 \
             order by change_id desc limit $1",
        )
        .bind(limit)
        .bind(before)
        .fetch_all(&self.0.pool)
        .await
    }
}

fn refusal(error: sqlx::Error, priority: i32) -> RuleError {
    let constraint = error
        .as_database_error()
        .and_then(|error| error.constraint());
    if constraint == Some("routing_rules_have_an_order") {
        RuleError::PriorityTaken(priority)
    } else {
        RuleError::Database(error)
    }
}
