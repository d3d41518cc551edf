//! A cart as it is shown: what is in it, at today's prices.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{CustomerId, Sku};
use domain::money::Currency;
use domain::placing::{Line, subtotal_if_any};
use domain::promotion::Code;
use projections::MoneyView;
use projections::availability;
use projections::orders::DiscountView;
use serde::Serialize;
use storefront::carts::{Cart, CartItem, Merged, MergedLine};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::App;
use crate::http::catalogue::{self, Unsellable};
use crate::http::order_body::Item;
use crate::http::problem::Problem;
use crate::http::promising::{self, Basket};
use crate::http::protection::guesses::Guesser;

/// A cart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CartView {
    id: Uuid,
    /// What prices are shown in
    #[schema(example = "GBP")]
    currency: &'static str,
    /// In the order in which they were put in
    items: Vec<CartItemView>,
    /// All lines that can be ordered; null if it is too large to be an order
    subtotal: Option<MoneyView>,
    /// What a promotion would take off an order of these lines at the moment
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountView>,
    /// Why the promotion that was asked for takes nothing off
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion_problem: Option<LineProblem>,
    /// What is to be paid, but for shipping; null if it is too large to be an order
    total: Option<MoneyView>,
    /// Whether every line can be ordered as far as is known: an order is still the only way to know
    can_be_ordered: bool,
    updated_at: DateTime<Utc>,
    /// When it is forgotten, unless it is changed before
    expires_at: DateTime<Utc>,
    /// For guests, once: opens the cart, as the header `Daybook-Cart-Token`
    #[serde(skip_serializing_if = "Option::is_none")]
    cart_token: Option<String>,
}

/// A line of a cart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CartItemView {
    #[schema(value_type = String)]
    sku: Sku,
    /// What it is called; null if it cannot be ordered
    name: Option<String>,
    /// Pieces
    quantity: u32,
    /// Price of one piece at the moment; null if it cannot be ordered
    unit_price: Option<MoneyView>,
    /// Price of all pieces at the moment; null if it cannot be ordered
    line_total: Option<MoneyView>,
    /// Whether there is enough of it, as far as is known
    availability: Hint,
    /// Pieces that can still be had; null if that is not known
    available: Option<i64>,
    /// Why it cannot be ordered
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<LineProblem>,
}

/// Whether there is enough of an article. An order is the only way to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hint {
    /// As many as are wanted
    InStock,
    /// Some, but fewer than are wanted
    Short,
    /// None
    SoldOut,
    /// Nobody can say at the moment
    Unknown,
}

/// Why a line cannot be ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineProblem {
    /// The one that an order would be refused with
    #[schema(example = "product_inactive")]
    code: &'static str,
    /// As a sentence
    detail: String,
}

/// What came of merging.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MergedView {
    cart: CartView,
    /// Every line of the guest's cart
    merged: Vec<MergedLineView>,
}

/// What became of a line of a guest's cart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MergedLineView {
    #[schema(value_type = String)]
    sku: Sku,
    /// Pieces that were in the account's cart before
    before: u32,
    /// Pieces that were in the guest's
    added: u32,
    /// Pieces that there are now
    quantity: u32,
    /// Whether some of them found no room: a line has at most 1,000,000 pieces, a cart 2,000 lines
    capped: bool,
}

impl LineProblem {
    fn of(problem: &Problem) -> Self {
        Self { code: problem.code(), detail: problem.detail().to_owned() }
    }
}

impl CartView {
    pub(super) fn opened_by(self, token: String) -> Self {
        Self { cart_token: Some(token), ..self }
    }
}

impl MergedView {
    pub(super) async fn of(
        app: &App,
        merged: Merged,
        customer_id: Option<CustomerId>,
    ) -> Result<Self, Problem> {
        let lines = merged.lines.into_iter().map(MergedLineView::from);
        Ok(Self { merged: lines.collect(), cart: of(app, merged.cart, customer_id).await? })
    }
}

impl From<MergedLine> for MergedLineView {
    fn from(line: MergedLine) -> Self {
        let capped = line.is_capped();
        let MergedLine { sku, before, added, quantity } = line;
        Self { sku, before, added, quantity, capped }
    }
}

/// Prices a cart as an order of it would be priced.
pub(super) async fn of(
    app: &App,
    cart: Cart,
    customer_id: Option<CustomerId>,
) -> Result<CartView, Problem> {
    with_promotion(app, cart, customer_id, None).await
}

/// The same, with the promotion that an order would name, and who names it.
pub(super) async fn with_promotion(
    app: &App,
    cart: Cart,
    customer_id: Option<CustomerId>,
    promotion: Option<(Code, Guesser)>,
) -> Result<CartView, Problem> {
    let wanted = cart.items.iter();
    let wanted: Vec<Item> = wanted
        .map(|item| Item::new(item.sku.clone(), item.quantity))
        .collect();
    let priced = catalogue::quote(app, &wanted, cart.currency).await?;
    let lines: Vec<Line> = priced.iter().flatten().cloned().collect();
    let total_minor = subtotal_if_any(&lines);
    let basket = Basket { lines: &lines, currency: cart.currency, customer_id, at: Utc::now() };
    let (discount, promotion_problem) = match promotion {
        // What cannot be ordered at all is not discounted either.
        _ if total_minor.is_none() => (None, None),
        None => (promising::automatic(app, basket).await?, None),
        Some((code, guesser)) => match promising::by_code(app, guesser, &code, basket).await? {
            Ok(discount) => (Some(discount), None),
            Err(problem) => (None, Some(LineProblem::of(&problem))),
        },
    };
    let off_minor = discount
        .as_ref()
        .map_or(0, |discount| discount.amount_minor);
    let available = available(app, &cart.items).await;
    let items: Vec<CartItemView> = cart
        .items
        .into_iter()
        .zip(priced)
        .map(|(item, priced)| {
            let available = available.get(&item.sku).copied();
            item_view(item, cart.currency, priced, available)
        })
        .collect();
    let can_be_ordered = total_minor.is_some()
        && !items.is_empty()
        && items.iter().all(CartItemView::can_be_ordered);
    Ok(CartView {
        id: cart.cart_id,
        currency: cart.currency.code(),
        items,
        subtotal: total_minor.map(|minor| MoneyView::of(minor, cart.currency)),
        discount: discount.map(|discount| DiscountView {
            amount: MoneyView::of(discount.amount_minor, cart.currency),
            promotion: discount.promotion,
            name: discount.name,
        }),
        promotion_problem,
        total: total_minor.map(|minor| MoneyView::of(minor - off_minor, cart.currency)),
        can_be_ordered,
        updated_at: cart.updated_at,
        expires_at: cart.expires_at,
        cart_token: None,
    })
}

impl CartItemView {
    fn can_be_ordered(&self) -> bool {
        let may_be_had = matches!(self.availability, Hint::InStock | Hint::Unknown);
        self.line_total.is_some() && may_be_had
    }
}

fn item_view(
    item: CartItem,
    currency: Currency,
    priced: Result<Line, Unsellable>,
    available: Option<i64>,
) -> CartItemView {
    let CartItem { sku, quantity } = item;
    let availability = hint(quantity, available);
    let mut view = CartItemView {
        sku,
        name: None,
        quantity,
        unit_price: None,
        line_total: None,
        availability,
        available,
        problem: None,
    };
    match priced {
        Ok(line) => {
            let total = line.unit_price_minor.checked_mul(i64::from(quantity));
            view.line_total = total.map(|minor| MoneyView::of(minor, currency));
            view.unit_price = Some(MoneyView::of(line.unit_price_minor, currency));
            view.name = Some(line.name);
        }
        Err(why) => {
            view.problem = Some(LineProblem { code: why.code().1, detail: why.detail() });
        }
    }
    view
}

fn hint(quantity: u32, available: Option<i64>) -> Hint {
    match available {
        None => Hint::Unknown,
        Some(available) if available <= 0 => Hint::SoldOut,
        Some(available) if available < i64::from(quantity) => Hint::Short,
        Some(_) => Hint::InStock,
    }
}

/// What can still be had, from memory; what that does not hold, from the read models, in one query.
/// Where they cannot be asked, it is not known: a hint is not worth an error.
async fn available(app: &App, items: &[CartItem]) -> HashMap<Sku, i64> {
    let mut known = HashMap::with_capacity(items.len());
    let mut unknown = Vec::new();
    for CartItem { sku, .. } in items {
        match app.availability.of(sku) {
            Some(view) => _ = known.insert(sku.clone(), view.available),
            None => unknown.push(sku.clone()),
        }
    }
    if unknown.is_empty() {
        return known;
    }
    let Ok(_seat) = app.read_models.seat().await else {
        return known;
    };
    match availability::find_many(app.read_models.reads(), &unknown).await {
        Ok(found) => {
            for (sku, found) in found {
                let view = app.availability.learn(&sku, found);
                known.insert(sku, view.available);
            }
        }
        Err(error) => tracing::warn!(%error, "a cart is shown without what is available"),
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_compares_what_is_wanted_with_what_there_is() {
        for (quantity, available, told) in [
            (1, None, Hint::Unknown),
            (1, Some(0), Hint::SoldOut),
            (2, Some(1), Hint::Short),
            (2, Some(2), Hint::InStock),
        ] {
            assert_eq!(hint(quantity, available), told);
        }
    }
}
