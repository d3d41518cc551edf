//! Payments: attempts, captures and refunds of the money side of an order.
//!
//! One row per payment, which holds all of it: a payment has at most a few dozen events.

mod fold;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId};
use domain::payment::{AttemptState, NextStep};
use domain::placing::PaymentMethod;
use domain::risk::Risk;
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder, Row as _};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use self::fold::Folded;
use self::fold::Payment;
use crate::error::Error;
use crate::money::MoneyView;
use crate::paging::{self, Cursor, Page};
use crate::paying::{PaymentStatus, RefundState, RefundView};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "payments";

/// One try at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptView {
    /// Our name for it at the provider.
    pub reference: String,
    /// How the customer pays.
    #[schema(value_type = String, example = "credit_card")]
    pub method: PaymentMethod,
    /// The provider.
    pub gateway: String,
    /// `awaited`, `accepted`, `captured`, `declined` or `mismatched`.
    #[schema(value_type = String, example = "captured")]
    pub status: AttemptState,
    /// The provider's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_reference: Option<String>,
    /// What the customer has to do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<NextStepView>,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How risky the provider finds it: `normal`, `elevated` or `highest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "normal")]
    pub risk: Option<Risk>,
    /// Where the card was issued, as the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_country: Option<String>,
    /// The provider's name for the card or account, the same for every payment by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// The rule of routing that chose the provider; absent if the customer named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routed_by: Option<Uuid>,
    /// The attempt that it stands in for, whose provider was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// What the customer has to do before the provider can go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum NextStepView {
    /// Pay on the provider's page.
    Redirect {
        /// Where.
        url: String,
    },
    /// Agree on the telephone, where the provider has asked.
    ApproveOnPhone,
}

impl From<NextStep> for NextStepView {
    fn from(step: NextStep) -> Self {
        match step {
            NextStep::Redirect { url } => Self::Redirect { url },
            NextStep::ApproveOnPhone => Self::ApproveOnPhone,
        }
    }
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PaymentView {
    /// Which.
    #[schema(value_type = Uuid)]
    pub payment_id: PaymentId,
    /// The order it pays.
    #[schema(value_type = Uuid)]
    pub order_id: OrderId,
    /// What is asked for.
    pub amount: MoneyView,
    /// Where the money stands.
    pub status: PaymentStatus,
    /// All money that came in.
    pub captured: MoneyView,
    /// What has gone back.
    pub refunded: MoneyView,
    /// What is about to go back.
    pub pending_refunds: MoneyView,
    /// What its provider has taken back, because it is disputed; absent if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_back: Option<MoneyView>,
    /// Every attempt, in order.
    pub attempts: Vec<AttemptView>,
    /// Every refund, in the order in which they were asked for.
    pub refunds: Vec<RefundView>,
    /// The payment's version, for `If-Match`.
    pub version: i64,
    /// When money was first asked for.
    pub opened_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

impl PaymentView {
    /// Whether it is the provider's turn to say something.
    pub fn waits_for_provider(&self) -> bool {
        let is_open = |attempt: &AttemptView| {
            matches!(attempt.status, AttemptState::Awaited | AttemptState::Accepted)
        };
        let is_pending = |refund: &RefundView| refund.status == RefundState::Pending;
        self.attempts.iter().any(is_open) || self.refunds.iter().any(is_pending)
    }
}

/// One payment; `None` until its money is asked for.
pub async fn by_id(pool: &PgPool, id: PaymentId) -> Result<Option<PaymentView>, Error> {
    let select = "select payment_id, opened_at, version, updated_at, payment::text \
                  from payments where payment_id = $1";
    let row = sqlx::query(select).bind(id.0).fetch_optional(pool).await?;
    row.map(|row| Ok(Payment::from_row(&row)?.view(id)))
        .transpose()
}

/// Which payments to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Where their money stands.
    pub status: Option<PaymentStatus>,
    /// Of this order.
    pub order_id: Option<OrderId>,
    /// Last tried at this provider.
    pub gateway: Option<String>,
    /// Last tried like this.
    pub method: Option<PaymentMethod>,
    /// Opened then or later.
    pub opened_from: Option<DateTime<Utc>>,
    /// Opened then or earlier.
    pub opened_to: Option<DateTime<Utc>>,
}

/// Payments, newest first.
pub async fn list(
    database: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
    after: Option<Cursor>,
) -> Result<Page<PaymentView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(
        "select payment_id, opened_at, version, updated_at, payment::text from payments \
         where true",
    );
    if let Some(status) = filter.status {
        // Written out, not bound: a plan for any status could not use the index that leaves one out.
        sql.push(format!(" and status = '{}'", status.as_str()));
    }
    if let Some(order_id) = filter.order_id {
        sql.push(" and order_id = ").push_bind(order_id.0);
    }
    if let Some(gateway) = &filter.gateway {
        sql.push(" and gateway = ")
            .push_bind(storable::key(gateway));
    }
    if let Some(method) = filter.method {
        sql.push(" and method = ").push_bind(fold::name_of(method));
    }
    if let Some(from) = filter.opened_from {
        sql.push(" and opened_at >= ")
            .push_bind(storable::instant(from));
    }
    if let Some(to) = filter.opened_to {
        sql.push(" and opened_at <= ")
            .push_bind(storable::instant(to));
    }
    if let Some(Cursor { at, id }) = after {
        sql.push(" and (opened_at, payment_id) < (").push_bind(at);
        sql.push(", ").push_bind(id).push(")");
    }
    sql.push(" order by opened_at desc, payment_id desc limit ");
    sql.push(paging::rows_for(limit));
    let rows = sql.build().fetch_all(database).await?;
    let view = |row: PgRow| {
        let id = PaymentId(row.try_get("payment_id")?);
        Ok(Payment::from_row(&row)?.view(id))
    };
    let items = rows
        .into_iter()
        .map(view)
        .collect::<Result<Vec<_>, Error>>()?;
    let cursor =
        |view: &PaymentView| Cursor { at: view.opened_at, id: view.payment_id.0 }.to_string();
    Ok(paging::page(items, limit, cursor))
}

/// The projector's side.
pub(crate) struct Payments;

impl Projection for Payments {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        5
    }

    fn tables(&self) -> &'static [&'static str] {
        &["payments"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("payments", "payment_id", By::Payment)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("payments/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let about: Vec<(Uuid, &RecordedEvent)> = batch
        .iter()
        .filter(|recorded| matches!(recorded.event, Event::Payment(_)))
        .filter_map(|recorded| Some((recorded.aggregate_id.parse().ok()?, recorded.as_ref())))
        .collect();
    if about.is_empty() {
        return Ok(());
    }
    let mut payments = load(connection, &about).await?;
    for (id, event) in about {
        match payments.get_mut(&id) {
            Some(payment) => payment.take(event),
            // A payment's first event opens it, or it is no order's; see `domain::payment`.
            None => payments.extend(Payment::opened(event).map(|payment| (id, payment))),
        }
    }
    let documents = payments
        .values()
        .map(serde_json::to_string)
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(include_str!("payments/upsert.sql"))
        .bind(payments.keys().copied().collect::<Vec<_>>())
        .bind(
            payments
                .values()
                .map(|payment| payment.opened_at)
                .collect::<Vec<_>>(),
        )
        .bind(
            payments
                .values()
                .map(|payment| payment.version)
                .collect::<Vec<_>>(),
        )
        .bind(
            payments
                .values()
                .map(|payment| payment.updated_at)
                .collect::<Vec<_>>(),
        )
        .bind(documents)
        .bind(
            payments
                .values()
                .map(|payment| payment.order_id.0)
                .collect::<Vec<_>>(),
        )
        .bind(
            payments
                .values()
                .map(|payment| payment.status().as_str())
                .collect::<Vec<_>>(),
        )
        .bind(payments.values().map(Payment::gateway).collect::<Vec<_>>())
        .bind(payments.values().map(Payment::method).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn load(
    connection: &mut PgConnection,
    about: &[(Uuid, &RecordedEvent)],
) -> Result<BTreeMap<Uuid, Payment>, Error> {
    let mut ids: Vec<Uuid> = about.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let select = "select payment_id, opened_at, version, updated_at, payment::text \
                  from payments where payment_id = any($1)";
    let rows = sqlx::query(select).bind(ids).fetch_all(connection).await?;
    let payment = |row: PgRow| Ok((row.try_get("payment_id")?, Payment::from_row(&row)?));
    rows.into_iter().map(payment).collect()
}
