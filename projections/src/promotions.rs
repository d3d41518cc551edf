//! Promotions: what is offered, to whom, and how often it was used.
//!
//! One row per promotion that was ever described.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::Sku;
use domain::promotion::{self, Code, Reduction, Terms};
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use crate::error::Error;
use crate::money::MoneyView;
use crate::paging::{self, BadCursor, Page};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "promotions";

const SELECT: &str =
    "select code, terms::text as terms, held, used, version, updated_at from promotions";

/// A promotion, as everybody is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromotionView {
    /// Its code; one that applies by itself need not be asked for by it.
    #[schema(value_type = String, example = "SPRING-26")]
    pub code: Code,
    /// What customers are told.
    pub name: String,
    /// The percentage that is taken off the goods; null if it is an amount.
    #[schema(example = "12.5")]
    pub percentage: Option<String>,
    /// The amount that is taken off, in each currency; empty if it is a percentage.
    pub amounts: Vec<MoneyView>,
    /// Whether it applies by itself.
    pub automatic: bool,
    /// From when on.
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when.
    pub ends_at: Option<DateTime<Utc>>,
    /// What the goods must come to, in each currency; empty if it does not matter.
    pub minimum: Vec<MoneyView>,
    /// The articles that it is for; empty for all of them.
    #[schema(value_type = Vec<String>)]
    pub skus: Vec<Sku>,
}

/// A promotion, as staff see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromotionDetails {
    /// What everybody is told.
    #[serde(flatten)]
    pub promotion: PromotionView,
    /// Whether everybody is told of it.
    pub listed: bool,
    /// Whether it can be used at all.
    pub active: bool,
    /// How often it may be used; null for as often as anybody likes.
    pub uses_max: Option<u32>,
    /// How often by one customer.
    pub uses_per_customer_max: Option<u32>,
    /// Uses that are held for orders under way.
    pub held: i64,
    /// Uses by orders that are fulfilled.
    pub used: i64,
    /// The promotion's version, for `If-Match`; uses count.
    pub version: i64,
    /// When it was last described.
    pub updated_at: DateTime<Utc>,
}

/// Where a page of a list by code ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeCursor(Code);

impl fmt::Display for CodeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CodeCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        text.parse().map(Self).map_err(|_| BadCursor)
    }
}

/// What everybody may use at this moment and is told of, ordered by code.
pub async fn current(
    pool: &PgPool,
    at: DateTime<Utc>,
    limit: i64,
    after: Option<CodeCursor>,
) -> Result<Page<PromotionView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where listed and active");
    during(&mut sql, at);
    let page = listed(pool, sql, limit, after).await?;
    let items = page.items.into_iter().map(|details| details.promotion);
    Ok(Page { items: items.collect(), next_cursor: page.next_cursor })
}

/// When, after this moment, the next one of which everybody is told begins or ends.
pub async fn next_change(pool: &PgPool, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
    // Reads every row: a shop has hundreds of promotions, and the answer is kept.
    let select = "select min(change) from promotions, \
         lateral (values (starts_at), (ends_at)) as changes (change) \
         where listed and active and $1 < change";
    Ok(sqlx::query_scalar(select).bind(at).fetch_one(pool).await?)
}

/// Which promotions to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whether they can be used at all.
    pub active: Option<bool>,
    /// Whether everybody is told of them.
    pub listed: Option<bool>,
    /// Whether they apply by themselves.
    pub automatic: Option<bool>,
    /// Begun and not ended at that moment, whether they are switched on or not.
    pub at: Option<DateTime<Utc>>,
}

/// All of them, ordered by code.
pub async fn all(
    database: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
    after: Option<CodeCursor>,
) -> Result<Page<PromotionDetails>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where true");
    for (column, flag) in [
        ("active", filter.active),
        ("listed", filter.listed),
        ("automatic", filter.automatic),
    ] {
        if let Some(flag) = flag {
            sql.push(" and ").push(column);
            sql.push(" = ").push_bind(flag);
        }
    }
    if let Some(at) = filter.at {
        during(&mut sql, at);
    }
    listed(database, sql, limit, after).await
}

fn during(sql: &mut QueryBuilder<'_, Postgres>, at: DateTime<Utc>) {
    let at = storable::instant(at);
    sql.push(" and (starts_at is null or starts_at <= ");
    sql.push_bind(at)
        .push(") and (ends_at is null or ")
        .push_bind(at)
        .push(" < ends_at)");
}

async fn listed(
    database: impl PgExecutor<'_>,
    mut sql: QueryBuilder<'_, Postgres>,
    limit: i64,
    after: Option<CodeCursor>,
) -> Result<Page<PromotionDetails>, Error> {
    if let Some(CodeCursor(code)) = after {
        sql.push(" and code > ").push_bind(String::from(code));
    }
    sql.push(" order by code limit ")
        .push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(database).await?;
    let items = rows.into_iter().map(Row::view).collect::<Result<_, _>>()?;
    let cursor = |of: &PromotionDetails| CodeCursor(of.promotion.code.clone()).to_string();
    Ok(paging::page(items, limit, cursor))
}

/// One of them.
pub async fn by_code(pool: &PgPool, code: &Code) -> Result<Option<PromotionDetails>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where code = ").push_bind(code.as_str());
    let row: Option<Row> = sql.build_query_as().fetch_optional(pool).await?;
    row.map(Row::view).transpose()
}

/// Those that apply by themselves, each with its version.
pub async fn automatic(pool: &PgPool) -> Result<Vec<(Code, i64, Terms)>, Error> {
    let select = format!("{SELECT} where automatic and active");
    let rows: Vec<Row> = sqlx::query_as(&select).fetch_all(pool).await?;
    rows.into_iter()
        .map(|row| {
            Ok((storable::named(&row.code)?, row.version, serde_json::from_str(&row.terms)?))
        })
        .collect()
}

#[derive(FromRow)]
struct Row {
    code: String,
    terms: String,
    held: i64,
    used: i64,
    version: i64,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn view(self) -> Result<PromotionDetails, Error> {
        let terms: Terms = serde_json::from_str(&self.terms)?;
        Ok(PromotionDetails {
            listed: terms.listed,
            active: terms.active,
            uses_max: terms.uses_max,
            uses_per_customer_max: terms.uses_per_customer_max,
            held: self.held,
            used: self.used,
            version: self.version,
            updated_at: self.updated_at,
            promotion: PromotionView::of(storable::named(&self.code)?, terms),
        })
    }
}

impl PromotionView {
    /// What the terms say to everybody.
    pub fn of(code: Code, terms: Terms) -> Self {
        let (percentage, amounts) = match terms.reduction {
            Reduction::Percentage { basis_points } => (Some(percent(basis_points)), Vec::new()),
            Reduction::Amount { amounts } => (None, amounts),
        };
        Self {
            code,
            name: terms.name,
            percentage,
            amounts: amounts.into_iter().map(Into::into).collect(),
            automatic: terms.automatic,
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            minimum: terms.minimum.into_iter().map(Into::into).collect(),
            skus: terms.skus,
        }
    }
}

/// Hundredths of a percent as an exact decimal without zeros behind it.
fn percent(basis_points: u32) -> String {
    let (whole, hundredths) = (basis_points / 100, basis_points % 100);
    match hundredths {
        0 => whole.to_string(),
        tenths if tenths % 10 == 0 => format!("{whole}.{}", tenths / 10),
        hundredths => format!("{whole}.{hundredths:02}"),
    }
}

/// The projector's side.
pub(crate) struct Promotions;

impl Projection for Promotions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["promotions"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("promotions", "code", By::Promotion)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("promotions/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// What a batch makes of one promotion.
#[derive(Debug, Default)]
struct Moved<'a> {
    /// How it was described last, and when.
    described: Option<(&'a Terms, DateTime<Utc>)>,
    held: i64,
    used: i64,
    version: i64,
}

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let mut moved: BTreeMap<&str, Moved<'_>> = BTreeMap::new();
    for recorded in batch {
        if let Event::Promotion(event) = &recorded.event {
            let at = storable::instant(recorded.recorded_at);
            let of = moved.entry(recorded.aggregate_id.as_str()).or_default();
            of.take(event, at);
            of.version = recorded.sequence;
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    describe(connection, &moved).await?;
    count(connection, &moved).await
}

impl<'a> Moved<'a> {
    fn take(&mut self, event: &'a promotion::Event, at: DateTime<Utc>) {
        use promotion::Event as E;

        match event {
            E::Described(terms) => self.described = Some((terms, at)),
            E::UseReserved { .. } => self.held += 1,
            E::UseReleased { .. } => self.held -= 1,
            E::Used { .. } => {
                self.held -= 1;
                self.used += 1;
            }
        }
    }
}

async fn describe(
    connection: &mut PgConnection,
    moved: &BTreeMap<&str, Moved<'_>>,
) -> Result<(), Error> {
    let described: Vec<(&str, &Terms, DateTime<Utc>)> = moved
        .iter()
        .filter_map(|(code, of)| of.described.map(|(terms, at)| (*code, terms, at)))
        .collect();
    if described.is_empty() {
        return Ok(());
    }
    let terms = described
        .iter()
        .map(|(_, terms, _)| serde_json::to_string(terms))
        .collect::<Result<Vec<_>, _>>()?;
    let flag = |of: fn(&Terms) -> bool| {
        described
            .iter()
            .map(|(_, terms, _)| of(terms))
            .collect::<Vec<_>>()
    };
    let instant = |of: fn(&Terms) -> Option<DateTime<Utc>>| {
        described
            .iter()
            .map(|(_, terms, _)| of(terms).map(storable::instant))
            .collect::<Vec<_>>()
    };
    sqlx::query(include_str!("promotions/describe.sql"))
        .bind(described.iter().map(|(code, ..)| *code).collect::<Vec<_>>())
        .bind(terms)
        .bind(flag(|terms| terms.automatic))
        .bind(flag(|terms| terms.listed))
        .bind(flag(|terms| terms.active))
        .bind(instant(|terms| terms.starts_at))
        .bind(instant(|terms| terms.ends_at))
        .bind(described.iter().map(|(.., at)| *at).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn count(
    connection: &mut PgConnection,
    moved: &BTreeMap<&str, Moved<'_>>,
) -> Result<(), Error> {
    let update = "update promotions p \
                  set held = p.held + m.held, used = p.used + m.used, version = m.version \
                  from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
                      as m (code, held, used, version) \
                  where p.code = m.code";
    sqlx::query(update)
        .bind(moved.keys().copied().collect::<Vec<_>>())
        .bind(moved.values().map(|of| of.held).collect::<Vec<_>>())
        .bind(moved.values().map(|of| of.used).collect::<Vec<_>>())
        .bind(moved.values().map(|of| of.version).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_told_without_zeros_behind_it() {
        for (basis_points, told) in [
            (1_000, "10"),
            (1_250, "12.5"),
            (1_255, "12.55"),
            (5, "0.05"),
        ] {
            assert_eq!(percent(basis_points), told);
        }
    }
}
