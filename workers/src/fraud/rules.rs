//! Fraud rules as administrators keep them.

use chrono::{DateTime, Utc};
use domain::screening::{Condition, Outcome, Rule};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use super::{Error, Fraud};

/// Most rules: every order is asked by all of them.
pub const RULES_MAX: i64 = 100;

/// A rule as administrators write it.
#[derive(Debug, Clone)]
pub struct NewRule {
    /// What reasons call it.
    pub name: String,
    /// Rules are asked in this order, the smallest first.
    pub priority: i32,
    /// What follows where it holds.
    pub outcome: Outcome,
    /// When it holds.
    pub condition: Condition,
    /// What it is for.
    pub note: Option<String>,
    /// Whether it is asked at all.
    pub active: bool,
}

/// A rule as it is kept.
#[derive(Debug, Clone)]
pub struct FraudRule {
    /// Its name for us.
    pub rule_id: Uuid,
    /// As written.
    pub rule: NewRule,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who changed it last.
    pub updated_by: String,
    /// When.
    pub updated_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for FraudRule {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let Json(condition) = row.try_get("condition")?;
        let outcome: String = row.try_get("outcome")?;
        let known = Outcome::NAMES.iter().find(|(name, _)| *name == outcome);
        let unknown = || sqlx::Error::Decode(format!("there is no outcome {outcome}").into());
        Ok(Self {
            rule_id: row.try_get("rule_id")?,
            rule: NewRule {
                name: row.try_get("name")?,
                priority: row.try_get("priority")?,
                outcome: known.ok_or_else(unknown)?.1,
                condition,
                note: row.try_get("note")?,
                active: row.try_get("active")?,
            },
            created_by: row.try_get("created_by")?,
            created_at: row.try_get("created_at")?,
            updated_by: row.try_get("updated_by")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// The rules that are asked, in their order.
pub(super) async fn active(pool: &PgPool) -> sqlx::Result<Vec<Rule>> {
    let rules: Vec<FraudRule> = sqlx::query_as(
        "select * from fraud_rules where active order by priority, created_at, rule_id",
    )
    .fetch_all(pool)
    .await?;
    let rule = |FraudRule { rule, .. }: FraudRule| Rule {
        name: rule.name,
        condition: rule.condition,
        outcome: rule.outcome,
    };
    Ok(rules.into_iter().map(rule).collect())
}

impl Fraud {
    /// Every rule, in the order in which they are asked.
    pub async fn rules(&self) -> Result<Vec<FraudRule>, Error> {
        let all = "select * from fraud_rules order by priority, created_at, rule_id";
        Ok(sqlx::query_as(all).fetch_all(&self.0.pool).await?)
    }

    /// Makes a rule. Orders that this process takes from then on are judged by it.
    pub async fn add_rule(&self, new: &NewRule, by: &str) -> Result<FraudRule, Error> {
        let mut transaction = self.begin().await?;
        let count: i64 = sqlx::query_scalar("select count(*) from fraud_rules")
            .fetch_one(&mut *transaction)
            .await?;
        if RULES_MAX <= count {
            return Err(Error::TooManyRules);
        }
        let kept = sqlx::query_as(
            "insert into fraud_rules (rule_id, name, priority, outcome, condition, note, \
             active, created_by, created_at, updated_by, updated_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8, $9) returning *",
        )
        .bind(Uuid::now_v7())
        .bind(&new.name)
        .bind(new.priority)
        .bind(new.outcome.name())
        .bind(Json(&new.condition))
        .bind(&new.note)
        .bind(new.active)
        .bind(by)
        .bind(Utc::now())
        .fetch_one(&mut *transaction)
        .await
        .map_err(or_name_taken)?;
        self.finish(transaction).await?;
        Ok(kept)
    }

    /// Puts another rule in its place; `None` if there is no such rule.
    pub async fn replace_rule(
        &self,
        rule_id: Uuid,
        new: &NewRule,
        by: &str,
    ) -> Result<Option<FraudRule>, Error> {
        let mut transaction = self.begin().await?;
        let kept = sqlx::query_as(
            "update fraud_rules set name = $2, priority = $3, outcome = $4, condition = $5, \
             note = $6, active = $7, updated_by = $8, updated_at = $9 \
             where rule_id = $1 returning *",
        )
        .bind(rule_id)
        .bind(&new.name)
        .bind(new.priority)
        .bind(new.outcome.name())
        .bind(Json(&new.condition))
        .bind(&new.note)
        .bind(new.active)
        .bind(by)
        .bind(Utc::now())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(or_name_taken)?;
        self.finish(transaction).await?;
        Ok(kept)
    }

    /// Deletes a rule; whether there was one.
    pub async fn delete_rule(&self, rule_id: Uuid) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let deleted = sqlx::query("delete from fraud_rules where rule_id = $1")
            .bind(rule_id)
            .execute(&mut *transaction)
            .await?;
        self.finish(transaction).await?;
        Ok(0 < deleted.rows_affected())
    }
}

fn or_name_taken(error: sqlx::Error) -> Error {
    let constraint = error.as_database_error().and_then(|of| of.constraint());
    if constraint == Some("fraud_rules_have_names_of_their_own") {
        Error::NameTaken
    } else {
        error.into()
    }
}
