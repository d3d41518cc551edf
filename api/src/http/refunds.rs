//! Refunds, as staff ask for them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::ids::RefundId;
use domain::money::Money;
use domain::order::{self, Order};
use domain::placing::{LINES_MAX, QUANTITY_MAX};
use domain::refunding::{Ask, Pieces, Restock};
use projections::MoneyView;
use serde::Serialize;
use store::command::Envelope;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::RefundOrder;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Staff;
use super::moves::REASON_CHARS_MAX;
use super::parameters::OfOrder;
use super::problem::{Flaw, Problem};
use super::{App, keys};

/// A refund that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefundingView {
    /// The order
    id: Uuid,
    /// The refund
    refund_id: Uuid,
    /// `pending` until the payment provider has paid it out
    #[schema(example = "pending")]
    status: &'static str,
    /// All of it
    amount: MoneyView,
    /// The order's version, for `If-Match`
    version: i64,
}

/// The body of [`refund`].
#[derive(Debug)]
pub(crate) struct Refunding {
    amount: Option<Money>,
    reason: String,
    pieces: Option<Vec<Pieces>>,
    shipping: bool,
}

impl Body for Refunding {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let amount = fields.optional_money("amount", None);
        let reason = fields.text("reason", REASON_CHARS_MAX);
        let pieces = fields.optional_list("items", LINES_MAX, |item| {
            let (sku, quantity) = (item.sku("sku"), item.pieces("quantity", QUANTITY_MAX));
            let restock = item.flag("restock");
            let restock = if restock? {
                Restock::Shelf
            } else {
                Restock::No
            };
            Some(Pieces { sku: sku?, quantity: quantity?, restock })
        });
        let shipping = fields.optional_flag("shipping").unwrap_or(false);
        if shipping && fields.has("amount") {
            fields.flaw("shipping", "is all that is left of it, and not for beside an amount");
        }
        Some(Self { amount, reason: reason?, pieces, shipping })
    }
}

impl Refunding {
    fn ask(&self) -> Ask {
        match (self.amount, self.pieces.clone()) {
            (_, Some(pieces)) if self.shipping => Ask::PiecesAndShipping(pieces),
            (_, None) if self.shipping => Ask::Shipping,
            (None, None) => Ask::Rest,
            (Some(amount), None) => Ask::Amount(amount.minor),
            (None, Some(pieces)) => Ask::Pieces(pieces),
            (Some(amount), Some(pieces)) => Ask::AmountForPieces(amount.minor, pieces),
        }
    }
}

/// Refund an order
///
/// An amount, pieces, an amount for pieces, or, with neither, all that is left, the shipping included.
/// Pieces go back without the shipping unless `shipping` says so; without any, it goes back alone.
#[utoipa::path(
    post, path = "/orders/{id}/refunds", tag = "orders", security(("staff" = [])),
    request_body = RefundOrder,
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 201, description = "The refund is on its way", body = RefundingView))
)]
pub(crate) async fn refund(
    State(app): State<App>,
    _: Staff,
    OfOrder(order_id): OfOrder,
    asked: Asked<Refunding>,
) -> Result<Response, Problem> {
    let (id, reason) = (order_id.to_string(), asked.body.reason.clone());
    let envelope = Envelope { reason: Some(reason.clone()), ..asked.about(order_id) };
    if let Some(problem) = other_currency(&app, &id, asked.body.amount).await? {
        return asked.turn_away(&app, envelope, &problem).await;
    }
    let refund_id = RefundId(keys::refund_id(asked.command_id));
    let command = order::Command::Refund { refund_id, ask: asked.body.ask(), reason };
    let wording = asked.wording(StatusCode::CREATED, |accepted| RefundingView {
        id: order_id.0,
        refund_id: refund_id.0,
        status: "pending",
        amount: amount_of(&accepted),
        version: accepted.version,
    });
    Ok(respond(
        app.journal
            .execute::<Order>(&id, command, envelope, wording)
            .await?,
    ))
}

/// The domain refunds in the order's currency, and an order never changes that: what is found
/// here is true for every repetition as well.
async fn other_currency(
    app: &App,
    order_id: &str,
    amount: Option<Money>,
) -> Result<Option<Problem>, Problem> {
    let Some(amount) = amount else {
        return Ok(None);
    };
    let (order, _) = app.journal.load::<Order>(order_id).await?;
    let other = order
        .currency()
        .filter(|currency| *currency != amount.currency);
    Ok(other.map(|currency| {
        let detail = format!("the order is in {currency}");
        let flaw = Flaw { pointer: "/amount/currency".to_owned(), detail: detail.clone() };
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "currency_mismatch", detail)
            .with_flaws(vec![flaw])
    }))
}

fn amount_of(accepted: &Accepted<'_, Order>) -> MoneyView {
    let currency = accepted
        .state
        .currency()
        .expect("a refunded order was placed");
    let requested = accepted.events.iter().find_map(|event| match event {
        order::Event::RefundRequested(refund) => Some(refund.amount_minor),
        _ => None,
    });
    MoneyView::of(requested.expect("an accepted refund was requested"), currency)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields;

    fn ask(mut body: Value) -> Ask {
        body["reason"] = "broken".into();
        fields::read_value::<Refunding>(&body, &[]).unwrap().ask()
    }

    #[test]
    fn what_is_not_said_is_all_that_is_left() {
        let amount = json!({"amount": "1.50", "currency": "GBP"});
        let items = json!([{"sku": "cup", "quantity": 2, "restock": true}]);
        let pieces =
            vec![Pieces { sku: "cup".parse().unwrap(), quantity: 2, restock: Restock::Shelf }];

        assert_eq!(ask(json!({})), Ask::Rest);
        assert_eq!(ask(json!({"amount": amount})), Ask::Amount(150));
        assert_eq!(ask(json!({"items": items})), Ask::Pieces(pieces.clone()));
        assert_eq!(
            ask(json!({"amount": amount, "items": items})),
            Ask::AmountForPieces(150, pieces.clone())
        );
        assert_eq!(
            ask(json!({"items": items, "shipping": true})),
            Ask::PiecesAndShipping(pieces.clone())
        );
        assert_eq!(ask(json!({"shipping": true})), Ask::Shipping);
        assert_eq!(ask(json!({"items": items, "shipping": false})), Ask::Pieces(pieces));
        let both = json!({"reason": "broken", "amount": amount, "shipping": true});
        assert!(fields::read_value::<Refunding>(&both, &[]).is_err());
    }

    #[test]
    fn whether_pieces_go_back_has_to_be_said() {
        let body = json!({"reason": "broken", "items": [{"sku": "cup", "quantity": 2}]});
        assert!(fields::read_value::<Refunding>(&body, &[]).is_err());
    }
}
