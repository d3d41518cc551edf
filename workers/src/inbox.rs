//! What providers say over HTTP: stored before it is answered, worked off afterwards.
//!
//! ```text
//! received ──▶ asked about ──▶ done
//!     ▲            │   └─────▶ parked: nobody's money, or something that takes a person
//!     └── later ◀──┘ the provider does not answer     │
//!                                                     ├─▶ resolved: staff close it ([`attending`])
//!                                                     ▼ staff give it back ([`following`])
//!                                                 refunding ──▶ refunded | failed
//! ```
//!
//! 1. A webhook is no truth: it is a reason to ask the provider. So one that is forged, late, out of
//!    order or sent twice leads to the answer that the provider gives now.
//! 2. What is said again is stored once, for ever. It is asked about again only where the provider
//!    signs nothing: there, anybody could have said it first.
//! 3. Whoever works on one moves it ahead in time first, so that a crash delays it and two
//!    processes do not work on the same one.

mod attending;
mod disputes;
mod following;
mod for_staff;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::PaymentId;
use domain::payment::Payment;
use futures::StreamExt as _;
use futures::stream;
use gateways::gateway::{About, Delivery, Dispute, Gateway, Notice};
use gateways::webhook::HeaderMap;
use sqlx::{FromRow, PgPool};
use store::command::ExecuteError;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub use self::attending::Unattended;
pub use self::for_staff::Parked;
use self::for_staff::nobodys;
pub(crate) use self::for_staff::{ForStaff, Names};
use crate::bells::{every, told_to_stop};
use crate::providers::Providers;
use crate::providers::twice::Silence;
use crate::{references, unmatched};

/// Webhooks taken up at a time, and worked on at once.
const TAKEN_MAX: i64 = 256;
const AT_ONCE: usize = 32;
/// How often the inbox is looked into when nobody rings.
const TICK: Duration = Duration::from_millis(500);
/// How long whoever takes one may work on it, in seconds; after that another may. A provider answers
/// within 20 s or not at all, and two who work on the same one do no harm; a crash costs this time.
const TAKEN_SECONDS: f64 = 30.0;
/// How often bodies that have been kept for long enough are looked for.
const TIDY_EVERY: Duration = Duration::from_hours(1);
/// How long a body is kept once it has been worked off, for whoever looks into what a provider said.
const BODY_KEPT_DAYS: i32 = 30;
/// Pause after a failure of the database.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Tries before a person has to look: with pauses that double up to an hour, about a day.
const TRIES_MAX: i32 = 30;
/// First and longest pause between two tries, in seconds.
const PAUSE_SECONDS_MIN: f64 = 2.0;
const PAUSE_SECONDS_MAX: f64 = 3600.0;

/// What staff see of a webhook.
const COLUMNS: &str = "webhook_id, gateway, event_key, state, reason, payment_id, body, \
    deliveries, tries, received_at, worked_at, unmatched_payment_id, received_minor, \
    received_currency, refund_failure, reference, provider_reference, resolved_by, resolved_at, \
    resolution";

/// Where webhooks are stored.
#[derive(Clone)]
pub struct Inbox {
    pool: PgPool,
    bell: Arc<Notify>,
}

/// What became of a webhook that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored, or was before.
    Kept,
    /// Nobody signed it, and it names nothing of ours: anybody may have sent it.
    Nobodys,
}

/// A webhook as staff see it.
#[derive(Debug, Clone, FromRow)]
pub struct Webhook {
    /// Its name.
    pub webhook_id: Uuid,
    /// Whose.
    pub gateway: String,
    /// The provider's name for it.
    pub event_key: String,
    /// `received`, `done`, `parked`, `resolved`, or of money that is given back `refunding`,
    /// `refunded`, `failed`.
    pub state: String,
    /// Why it is parked.
    pub reason: Option<String>,
    /// The payment it is about.
    pub payment_id: Option<Uuid>,
    /// As it came in; empty once it has been let go of.
    pub body: Vec<u8>,
    /// How often it came in.
    pub deliveries: i32,
    /// How often it has been worked on.
    pub tries: i32,
    /// When it first came in.
    pub received_at: DateTime<Utc>,
    /// When it was last worked on.
    pub worked_at: Option<DateTime<Utc>>,
    /// The payment that gives its money back.
    pub unmatched_payment_id: Option<Uuid>,
    /// How much that is, in minor units of `received_currency`.
    pub received_minor: Option<i64>,
    /// In which currency.
    pub received_currency: Option<String>,
    /// Why the last refund failed.
    pub refund_failure: Option<String>,
    /// What its money is called there by whoever asked for it.
    pub reference: Option<String>,
    /// The provider's own name for its money.
    pub provider_reference: Option<String>,
    /// Who closed it last.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Why.
    pub resolution: Option<String>,
}

#[derive(FromRow)]
struct Taken {
    webhook_id: Uuid,
    gateway: String,
    body: Vec<u8>,
    received_at: DateTime<Utc>,
    tries: i32,
    tries_before: i32,
}

impl Taken {
    /// Tries since it came in, or since staff had it worked off again.
    fn tries_now(&self) -> i32 {
        self.tries.saturating_sub(self.tries_before)
    }
}

/// What came of working on one.
enum Worked {
    Done(Option<PaymentId>),
    Parked(Option<PaymentId>, String),
    Later(String),
}

impl Inbox {
    /// The inbox in this database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, bell: Arc::default() }
    }

    /// Stores a webhook whose signature has been checked.
    pub async fn store(
        &self,
        gateway: &dyn Gateway,
        delivery: &Delivery<'_>,
    ) -> sqlx::Result<Stored> {
        let notice = gateway.parse_webhook_event(delivery).ok();
        let is_signed = gateway.capabilities().signs_webhooks;
        if !is_signed && !self.is_ours(gateway.name(), notice.as_ref()).await? {
            return Ok(Stored::Nobodys);
        }
        let names = notice.as_ref().map(|notice| Names::of(&notice.about));
        let Names { reference, provider_reference } = names.unwrap_or_default();
        let key = notice
            .as_ref()
            .map_or_else(|| delivery.digest(), |notice| notice.key.clone());
        sqlx::query(
            "insert into webhooks (webhook_id, gateway, event_key, body, received_at, reference, \
             provider_reference) \
             values ($1, $2, $3, $4, $5, $7, $8) \
             on conflict on constraint webhooks_once do update \
             set deliveries = webhooks.deliveries + 1, \
                 state = case when $6 then webhooks.state else 'received' end, \
                 due_at = case when $6 then webhooks.due_at else now() end, \
                 body = case when $6 then webhooks.body else excluded.body end",
        )
        .bind(Uuid::now_v7())
        .bind(gateway.name())
        .bind(key)
        .bind(delivery.body)
        .bind(delivery.received_at)
        .bind(is_signed)
        .bind(reference)
        .bind(provider_reference)
        .execute(&self.pool)
        .await?;
        self.bell.notify_one();
        Ok(Stored::Kept)
    }

    async fn is_ours(&self, gateway: &str, notice: Option<&Notice>) -> sqlx::Result<bool> {
        let Some(notice) = notice else {
            return Ok(false);
        };
        let Some(name) = name_in(&notice.about) else {
            return Ok(false);
        };
        let payment = references::payment_of(&self.pool, gateway, &name).await?;
        Ok(payment.is_some())
    }

    /// Webhooks, newest first, after a `(received_at, webhook_id)` and in a state if given.
    pub async fn list(
        &self,
        limit: i64,
        after: Option<(DateTime<Utc>, Uuid)>,
        state: Option<&str>,
    ) -> sqlx::Result<Vec<Webhook>> {
        let (before_at, before_id) = after.unzip();
        let select = format!(
            "select {COLUMNS} from webhooks \
             where ($2::timestamptz is null or (received_at, webhook_id) < ($2, $3)) \
             and ($4::text is null or state = $4) \
             order by received_at desc, webhook_id desc limit $1"
        );
        sqlx::query_as(&select)
            .bind(limit)
            .bind(before_at)
            .bind(before_id)
            .bind(state)
            .fetch_all(&self.pool)
            .await
    }

    /// One of them.
    pub async fn by_id(&self, webhook_id: Uuid) -> sqlx::Result<Option<Webhook>> {
        sqlx::query_as(&format!("select {COLUMNS} from webhooks where webhook_id = $1"))
            .bind(webhook_id)
            .fetch_optional(&self.pool)
            .await
    }

    /// Works until told to stop. Failures are logged and tried again for ever.
    pub async fn work(self, providers: Providers, mut stop: watch::Receiver<bool>) {
        let (mut tick, mut tidy) = (every(TICK), every(TIDY_EVERY));
        loop {
            let worked = tokio::select! {
                () = self.bell.notified() => self.empty(&providers).await,
                _ = tick.tick() => {
                    if let Err(error) = self.follow(&providers.journal).await {
                        tracing::warn!(%error, "what became of unmatched money is seen later");
                    }
                    self.empty(&providers).await
                }
                _ = tidy.tick() => self.empty_bodies().await,
                () = told_to_stop(&mut stop) => return,
            };
            if let Err(error) = worked {
                tracing::warn!(%error, "webhooks are worked on later");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Lets go of what is not needed any more: bodies may tell who paid. Whoever has to settle
    /// something reads what the provider said, however long it takes.
    async fn empty_bodies(&self) -> sqlx::Result<()> {
        loop {
            // The first condition is that of the index.
            let emptied = sqlx::query(
                "update webhooks set body = '' where webhook_id in ( \
                     select webhook_id from webhooks \
                     where state <> 'received' and state in ('done', 'refunded', 'resolved') \
                     and body <> '' \
                     and worked_at < now() - make_interval(days => $1) \
                     order by worked_at limit $2)",
            )
            .bind(BODY_KEPT_DAYS)
            .bind(TAKEN_MAX)
            .execute(&self.pool)
            .await?;
            if emptied.rows_affected() == 0 {
                return Ok(());
            }
        }
    }

    async fn empty(&self, providers: &Providers) -> sqlx::Result<()> {
        loop {
            let taken = self.take().await?;
            if taken.is_empty() {
                return Ok(());
            }
            let work = |taken: Taken| async move {
                let worked = work_on(self, providers, &taken).await;
                self.put_down(&taken, worked).await
            };
            let done: Vec<sqlx::Result<()>> = stream::iter(taken)
                .map(work)
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            done.into_iter().collect::<sqlx::Result<()>>()?;
        }
    }

    /// See invariant 3.
    async fn take(&self) -> sqlx::Result<Vec<Taken>> {
        sqlx::query_as(
            "update webhooks set due_at = now() + make_interval(secs => $2), tries = tries + 1, \
             worked_at = now() \
             where webhook_id in ( \
                 select webhook_id from webhooks where state = 'received' and due_at <= now() \
                 order by due_at limit $1 for update skip locked) \
             returning webhook_id, gateway, body, received_at, tries, tries_before",
        )
        .bind(TAKEN_MAX)
        .bind(TAKEN_SECONDS)
        .fetch_all(&self.pool)
        .await
    }

    async fn put_down(&self, taken: &Taken, worked: Worked) -> sqlx::Result<()> {
        let (state, payment_id, reason, pause) = match worked {
            Worked::Done(payment_id) => ("done", payment_id, None, 0.0),
            Worked::Parked(payment_id, reason) => ("parked", payment_id, Some(reason), 0.0),
            Worked::Later(reason) if TRIES_MAX <= taken.tries_now() => {
                ("parked", None, Some(format!("given up after {TRIES_MAX} tries: {reason}")), 0.0)
            }
            Worked::Later(_) => ("received", None, None, pause(taken.tries_now())),
        };
        if state == "parked" {
            let (gateway, reason) = (&taken.gateway, reason.as_deref());
            tracing::warn!(gateway, webhook.id = %taken.webhook_id, reason, "a webhook is parked");
        }
        metrics::counter!("daybook_webhooks_worked_total", "state" => state).increment(1);
        // One that came in again meanwhile, and has to be asked about again, keeps its place.
        sqlx::query(
            "update webhooks set state = $2, payment_id = coalesce($3, payment_id), reason = $4, \
             due_at = now() + make_interval(secs => $5) \
             where webhook_id = $1 and tries = $6 and now() < due_at",
        )
        .bind(taken.webhook_id)
        .bind(state)
        .bind(payment_id.map(|payment_id| payment_id.0))
        .bind(reason)
        .bind(pause)
        .bind(taken.tries)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Our name in it.
fn name_in(about: &About) -> Option<String> {
    match about {
        About::Attempt { reference, .. } | About::RefundsOf { reference } => {
            Some(reference.clone())
        }
        About::Refund { refund_id } => Some(refund_id.to_string()),
        About::Staff { reference, .. } => reference.clone(),
        About::Dispute(dispute) => dispute.reference.clone(),
        About::Unnamed { .. } | About::Nothing => None,
    }
}

fn pause(tries: i32) -> f64 {
    (PAUSE_SECONDS_MIN * 2.0_f64.powi(tries.saturating_sub(1))).min(PAUSE_SECONDS_MAX)
}

async fn work_on(inbox: &Inbox, providers: &Providers, taken: &Taken) -> Worked {
    let pool = &inbox.pool;
    let Some(gateway) = providers.registry.get(&taken.gateway) else {
        return Worked::Later(format!("{} is switched off", taken.gateway));
    };
    let headers = HeaderMap::new();
    let (body, received_at) = (taken.body.as_slice(), taken.received_at);
    let delivery = Delivery { headers: &headers, body, received_at };
    let Notice { key, about } = match gateway.parse_webhook_event(&delivery) {
        Ok(notice) => notice,
        Err(unreadable) => return Worked::Parked(None, unreadable.to_string()),
    };
    if let About::Dispute(dispute) = about {
        let key = format!("{} {key} {}", gateway.name(), taken.tries);
        let what = (key.as_str(), dispute);
        return disputes::work_on(inbox, providers, gateway.as_ref(), taken, what).await;
    }
    let Some(name) = name_in(&about) else {
        return match about {
            About::Staff { what, .. } | About::Unnamed { what, .. } => Worked::Parked(None, what),
            _ => Worked::Done(None),
        };
    };
    let payment_id = match references::payment_of(pool, gateway.name(), &name).await {
        Ok(Some(payment_id)) => payment_id,
        Ok(None) => {
            return Worked::Parked(None, nobodys(&name));
        }
        Err(error) => return Worked::Later(error.to_string()),
    };
    // A provider without signatures says the same words again for another reason.
    let key = format!("{} {key} {}", gateway.name(), taken.tries);
    let attempt = match &about {
        About::Attempt { reference, .. } => Some(reference.clone()),
        _ => None,
    };
    match ask(providers, payment_id, about, &key).await {
        Ok(Asked::Answered) => match attempt {
            Some(reference) => {
                let settled = settle(inbox, providers, taken, payment_id, &reference).await;
                settled.unwrap_or_else(|error| Worked::Later(error.to_string()))
            }
            None => Worked::Done(Some(payment_id)),
        },
        Ok(Asked::ForStaff(what)) => Worked::Parked(Some(payment_id), what),
        Ok(Asked::Silence) => Worked::Later("the provider does not answer".to_owned()),
        Err(error) => Worked::Later(error.to_string()),
    }
}

/// What came in for an attempt may be money that its payment will never count: once staff have it
/// before them, they can give it back.
async fn settle(
    inbox: &Inbox,
    providers: &Providers,
    taken: &Taken,
    payment_id: PaymentId,
    reference: &str,
) -> Result<Worked, ExecuteError> {
    let (payment, _) = providers
        .journal
        .load::<Payment>(&payment_id.to_string())
        .await?;
    let tried = payment.attempt(reference);
    let Some(tried) = tried.filter(|tried| unmatched::is_uncounted(tried)) else {
        return Ok(Worked::Done(Some(payment_id)));
    };
    let names = (reference, tried.provider_reference.as_deref());
    let is_known = inbox
        .is_with_staff(&taken.gateway, names, Some(taken.webhook_id))
        .await
        .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    Ok(if is_known {
        Worked::Done(Some(payment_id))
    } else {
        Worked::Parked(Some(payment_id), unmatched::uncounted(reference))
    })
}

enum Asked {
    Answered,
    Silence,
    ForStaff(String),
}

async fn ask(
    providers: &Providers,
    payment_id: PaymentId,
    about: About,
    key: &str,
) -> Result<Asked, ExecuteError> {
    let is_answered = match about {
        About::Attempt { reference, provider_reference } => {
            let named = provider_reference.clone();
            if !providers
                .ask_again(payment_id, &reference, provider_reference, key)
                .await?
            {
                return Ok(Asked::Silence);
            }
            // Afterwards: this may be the first that is heard of what the attempt itself has brought.
            if let Some(named) = &named {
                match providers
                    .second_payment(payment_id, &reference, named)
                    .await?
                {
                    Ok(None) => {}
                    Ok(Some(what)) => return Ok(Asked::ForStaff(what)),
                    Err(Silence) => return Ok(Asked::Silence),
                }
            }
            true
        }
        About::Refund { refund_id } => {
            providers
                .ask_again_about_refund(payment_id, refund_id, key)
                .await?
        }
        About::RefundsOf { reference } => {
            let mut all = true;
            for refund_id in providers.open_refunds(payment_id, &reference).await? {
                all &= providers
                    .ask_again_about_refund(payment_id, refund_id, key)
                    .await?;
            }
            all
        }
        About::Staff { what, .. }
        | About::Unnamed { what, .. }
        | About::Dispute(Dispute { what, .. }) => return Ok(Asked::ForStaff(what)),
        About::Nothing => true,
    };
    Ok(if is_answered {
        Asked::Answered
    } else {
        Asked::Silence
    })
}
