//! What the log, the read models and the providers' own books say about an order, and whether it is
//! the same.

use domain::money::Money;
use serde_json::Value;

use super::customers::Storm;
use super::shops::Shop;

/// Why people give money back. Whatever goes back for other reasons never was for the order's goods.
pub(super) const REASONS: [&str; 5] = [
    "a chip",
    "broken",
    "returned",
    "found it cheaper",
    "it failed before",
];

/// What is said about an order.
#[derive(Debug)]
pub(super) struct Found {
    /// The read model of orders.
    pub(super) order: Value,
    /// The read model of payments; null as long as no money was asked for.
    pub(super) payment: Value,
}

/// Whose name the provider uses instead of ours.
pub(super) fn other_name(reference: &str) -> String {
    format!("X{}", &reference[1..])
}

/// An amount as answers have it, in minor units; zero where there is none.
pub(super) fn minor(money: &Value) -> i64 {
    let currency = money["currency"].as_str().unwrap_or_default();
    let amount = money["amount"].as_str().unwrap_or_default();
    let Ok(currency) = currency.parse() else {
        return 0;
    };
    Money::parse(amount, currency).unwrap().minor
}

/// What is said once the read models have reached a position.
pub(super) async fn look(storm: &Storm, order_id: &str, payment_id: &str, position: i64) -> Found {
    let payment = format!("/api/v1/payments/{payment_id}");
    let payment = storm.get_after(position, &payment).await;
    let order = format!("/api/v1/orders/{order_id}");
    let order = storm.get_after(position, &order).await;
    let body = |answer: tests::Answer| match answer.status.as_u16() {
        404 => Value::Null,
        _ => answer.json(),
    };
    Found { order: body(order), payment: body(payment) }
}

impl Found {
    pub(super) fn status(&self) -> &str {
        self.order["status"].as_str().unwrap_or_default()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.payment[name].as_array().map_or(&[], Vec::as_slice)
    }

    /// Attempts in this state.
    pub(super) fn attempts(&self, status: &str) -> usize {
        let attempts = self.list("attempts").iter();
        attempts.filter(|of| of["status"] == status).count()
    }

    /// Whether something else came in by this attempt than was asked for.
    pub(super) fn is_mismatched(&self, reference: &str) -> bool {
        let mut attempts = self.list("attempts").iter();
        attempts.any(|of| of["reference"] == reference && of["status"] == "mismatched")
    }

    pub(super) fn references_at(&self, gateway: &str) -> Vec<String> {
        let attempts = self.list("attempts").iter();
        let there = attempts.filter(|of| of["gateway"] == gateway);
        there
            .map(|of| of["reference"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Refunds by people that failed. Others are made again by themselves, and do not fail so often
    /// in a storm that staff are called.
    pub(super) fn failed_refunds(&self) -> usize {
        let refunds = self.refunds_by_people();
        refunds.filter(|of| of["status"] == "failed").count()
    }

    fn refunds_by_people(&self) -> impl Iterator<Item = &Value> {
        let refunds = self.list("refunds").iter();
        refunds.filter(|of| REASONS.iter().any(|reason| of["reason"] == *reason))
    }

    /// What people have given back of the order's own money.
    pub(super) fn given_back(&self) -> i64 {
        let settled = self.refunds_by_people();
        let settled = settled.filter(|of| of["status"] == "refunded");
        settled.map(|of| minor(&of["amount"])).sum()
    }

    /// Whether it was ever confirmed: only then is there anything of its own to give back.
    pub(super) fn was_confirmed(&self) -> bool {
        let is_over = matches!(self.status(), "cancelled" | "refunded");
        self.is_live() || (is_over && self.refunds_by_people().next().is_some())
    }

    fn is_live(&self) -> bool {
        matches!(self.status(), "confirmed" | "completed")
    }

    /// A cancelled order whose money could not be given back yet.
    pub(super) fn is_to_be_given_back_again(&self) -> bool {
        let captured = minor(&self.order["captured"]);
        let refunded = minor(&self.order["refunded"]);
        let pending = minor(&self.payment["pending_refunds"]);
        self.status() == "cancelled" && pending == 0 && refunded < captured
    }

    /// An order knows of a refund before its payment is asked for it; a process that is killed in
    /// between asks once it is back.
    fn has_refunds_to_come(&self) -> bool {
        let refunds = self.order["refunds"].as_array();
        refunds.is_some_and(|all| all.iter().any(|of| of["status"] == "pending"))
    }

    /// What is not as it must be once nothing moves any more.
    pub(super) fn disagreement(&self, shops: &[Shop]) -> Option<String> {
        if !["confirmed", "completed", "cancelled", "failed", "refunded"].contains(&self.status()) {
            return Some(format!("it is {:?}", self.status()));
        }
        let total = minor(&self.order["total"]);
        let (captured, refunded) =
            (minor(&self.payment["captured"]), minor(&self.payment["refunded"]));
        if minor(&self.payment["pending_refunds"]) != 0 || self.has_refunds_to_come() {
            return Some("money is on its way back".to_owned());
        }
        let of_order = (minor(&self.order["captured"]), minor(&self.order["refunded"]));
        if of_order != (captured, refunded) {
            return Some(format!("the read models differ: {of_order:?} {captured} {refunded}"));
        }
        // Nobody's money is kept without goods, and nobody's goods go without their money.
        let due = if self.is_live() {
            total - self.given_back()
        } else {
            0
        };
        if captured - refunded != due {
            return Some(format!("{captured} - {refunded} is kept where {due} is due"));
        }
        self.disagreement_with_providers(shops)
    }

    /// To the penny: captured less refunded, per attempt and altogether.
    fn disagreement_with_providers(&self, shops: &[Shop]) -> Option<String> {
        let currency = self.order["total"]["currency"].as_str()?;
        let (mut came_in, mut gone, mut all_keep_books) = (0, 0, true);
        for attempt in self.list("attempts") {
            let shop = shops.iter().find(|shop| attempt["gateway"] == shop.name)?;
            let Some(simulator) = &shop.simulator else {
                all_keep_books = false;
                continue;
            };
            let account = simulator.account(attempt["reference"].as_str()?);
            let ours = |money: &&Money| money.currency.code() == currency;
            came_in += account
                .came_in
                .iter()
                .filter(ours)
                .map(|of| of.minor)
                .sum::<i64>();
            gone += account.gone_minor;
            if account.going_minor != 0 {
                return Some(format!("{} is on its way at the provider", account.going_minor));
            }
        }
        let captured = minor(&self.payment["captured"]);
        let refunded = minor(&self.payment["refunded"]);
        let is_same = (came_in, gone) == (captured, refunded);
        (all_keep_books && !is_same).then(|| {
            format!("providers say {came_in} - {gone}, the log says {captured} - {refunded}")
        })
    }

    /// Money in another currency that came in under our names.
    pub(super) fn foreign(&self, shops: &[Shop]) -> usize {
        let currency = self.order["total"]["currency"].as_str().unwrap_or_default();
        let accounts = shops.iter().filter_map(|shop| shop.simulator.as_ref());
        let accounts = accounts.flat_map(|simulator| {
            let references = self.references_at(simulator.name());
            let accounts = references.into_iter().map(|name| simulator.account(&name));
            accounts.collect::<Vec<_>>()
        });
        accounts
            .flat_map(|account| account.came_in)
            .filter(|money| money.currency.code() != currency)
            .count()
    }
}
