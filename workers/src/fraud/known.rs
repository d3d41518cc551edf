//! What orders are screened by, in memory: active rules in their order, and what is blocked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::identifiers::{Identifier, Kind};
use domain::screening::{Blocked, Condition, Rule};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Error, blocklist, rules};

/// Rules and lists as of a revision.
pub(super) struct Known {
    pub(super) revision: i64,
    pub(super) rules: Vec<Rule>,
    blocked: HashMap<Kind, HashMap<String, Entry>>,
    window_seconds: u32,
    judges_orders: bool,
    judges_payments: bool,
}

struct Entry {
    entry_id: Uuid,
    expires_at: Option<DateTime<Utc>>,
}

/// How often anything has changed.
pub(super) async fn revision(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select revision from fraud_revision")
        .fetch_one(pool)
        .await
}

impl Known {
    pub(super) async fn read(pool: &PgPool) -> Result<Self, Error> {
        // First: what changes meanwhile is read once more.
        let revision = revision(pool).await?;
        let rules = rules::active(pool).await?;
        let mut blocked: HashMap<Kind, HashMap<String, Entry>> = HashMap::new();
        // Nobody looks at the list without a rule that does.
        let looks = |rule: &Rule| matches!(rule.condition, Condition::Blocked { .. });
        if rules.iter().any(looks) {
            for (Identifier { kind, value }, entry_id, expires_at) in blocklist::all(pool).await? {
                let of_kind = blocked.entry(kind).or_default();
                of_kind.insert(value, Entry { entry_id, expires_at });
            }
        }
        let windows = rules.iter().map(|rule| match rule.condition {
            Condition::Velocity { window_seconds, .. } => window_seconds,
            _ => 0,
        });
        Ok(Self {
            revision,
            window_seconds: windows.max().unwrap_or(0),
            judges_orders: rules.iter().any(|rule| rule.condition.asks_order()),
            judges_payments: rules.iter().any(|rule| rule.condition.asks_provider()),
            rules,
            blocked,
        })
    }

    /// The longest window of any rule about velocity; 0 where there is none.
    pub(super) fn window_seconds(&self) -> u32 {
        self.window_seconds
    }

    /// Whether a rule asks what is known before anybody has paid.
    pub(super) fn judges_orders(&self) -> bool {
        self.judges_orders
    }

    /// Whether a rule asks what the provider says.
    pub(super) fn judges_payments(&self) -> bool {
        self.judges_payments
    }

    /// The entries that are about any of these.
    pub(super) fn blocked(&self, found: &[Identifier], now: DateTime<Utc>) -> Vec<Blocked> {
        let mut entries = Vec::new();
        for identifier in found {
            let Some(of_kind) = self.blocked.get(&identifier.kind) else {
                continue;
            };
            let named = identifier.listed_as().into_iter();
            let valid = named
                .filter_map(|value| of_kind.get(&value))
                .filter(|entry| entry.expires_at.is_none_or(|end| now < end));
            entries.extend(
                valid.map(|entry| Blocked {
                    kind: identifier.kind,
                    entry: entry.entry_id.to_string(),
                }),
            );
        }
        entries
    }
}
