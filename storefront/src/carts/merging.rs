//! A guest's cart goes into the account's, once the guest has signed in.

use std::collections::HashMap;

use domain::ids::Sku;
use domain::placing::{LINES_MAX, QUANTITY_MAX};
use uuid::Uuid;

use super::changing::write;
use super::{COLUMNS, Cart, CartItem, Carts, Error, Row, ensure, items, token, touch};

/// What came of merging two carts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The account's cart.
    pub cart: Cart,
    /// Every line of the guest's cart, as it was put in; none of them the second time.
    pub lines: Vec<MergedLine>,
}

/// A line of the guest's cart, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedLine {
    /// The article.
    pub sku: Sku,
    /// Pieces that were in the account's cart before.
    pub before: u32,
    /// Pieces that were in the guest's.
    pub added: u32,
    /// Pieces that there are now: the sum, or what a line may have; 0 if the cart has as many lines
    /// as it may have.
    pub quantity: u32,
}

impl MergedLine {
    /// Whether some pieces found no room.
    pub fn is_capped(&self) -> bool {
        self.quantity < self.before.saturating_add(self.added)
    }
}

impl Carts {
    /// Puts what is in a guest's cart into the account's, and closes the guest's. A repetition finds
    /// nothing more to put there.
    pub async fn merge(&self, token: &str, account_id: Uuid) -> Result<Merged, Error> {
        let mut transaction = self.pool.begin().await?;
        let select = format!(
            "select {COLUMNS} from carts where token_hash = $1 and now() < expires_at \
             and (merged_into is null or merged_into = $2) for update"
        );
        let guests: Option<Row> = sqlx::query_as(&select)
            .bind(token::digest(token).as_slice())
            .bind(account_id)
            .fetch_optional(&mut *transaction)
            .await?;
        let guests = guests.ok_or(Error::NoSuchCart)?;
        let currency = guests.currency.parse();
        let currency = currency.map_err(|_| Error::Broken("a currency"))?;
        let own = ensure(&mut transaction, account_id, currency).await?;

        let before = items(&mut transaction, own.cart_id).await?;
        let guests_items = items(&mut transaction, guests.cart_id).await?;
        let (after, lines) = summed(&before, &guests_items);
        write(&mut transaction, own.cart_id, &before, &after).await?;
        sqlx::query("delete from cart_items where cart_id = $1")
            .bind(guests.cart_id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("update carts set merged_into = $2 where cart_id = $1")
            .bind(guests.cart_id)
            .bind(account_id)
            .execute(&mut *transaction)
            .await?;
        // Should it just be ordered by the guest, the account's cart must not order it once more.
        sqlx::query("update carts set order_id = coalesce(order_id, $2) where cart_id = $1")
            .bind(own.cart_id)
            .bind(guests.order_id)
            .execute(&mut *transaction)
            .await?;
        let own = touch(&mut transaction, &own).await?;
        transaction.commit().await?;
        Ok(Merged { cart: own.with(after)?, lines })
    }
}

/// The lines of both, and what became of the guest's. What was there first keeps its place.
fn summed(own: &[CartItem], guests: &[CartItem]) -> (Vec<CartItem>, Vec<MergedLine>) {
    let mut after = own.to_vec();
    let index_of: HashMap<&Sku, usize> = own
        .iter()
        .enumerate()
        .map(|(index, item)| (&item.sku, index))
        .collect();
    let mut lines = Vec::with_capacity(guests.len());
    for CartItem { sku, quantity: added } in guests {
        let (before, quantity) = if let Some(index) = index_of.get(sku) {
            let line = &mut after[*index];
            let before = line.quantity;
            line.quantity = before.saturating_add(*added).min(QUANTITY_MAX);
            (before, line.quantity)
        } else if after.len() < LINES_MAX {
            after.push(CartItem { sku: sku.clone(), quantity: *added });
            (0, *added)
        } else {
            (0, 0)
        };
        lines.push(MergedLine { sku: sku.clone(), before, added: *added, quantity });
    }
    (after, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sku: &str, quantity: u32) -> CartItem {
        CartItem { sku: sku.parse().unwrap(), quantity }
    }

    #[test]
    fn quantities_are_summed_up_to_what_a_line_may_have() {
        let own = [item("cup", 2), item("pot", QUANTITY_MAX)];
        let guests = [item("pot", 1), item("jug", 4), item("cup", 3)];
        let (after, lines) = summed(&own, &guests);
        assert_eq!(after, [item("cup", 5), item("pot", QUANTITY_MAX), item("jug", 4)]);
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.sku.as_str(), line.before, line.quantity, line.is_capped()))
            .collect();
        assert_eq!(
            told,
            [
                ("pot", QUANTITY_MAX, QUANTITY_MAX, true),
                ("jug", 0, 4, false),
                ("cup", 2, 5, false)
            ]
        );
    }

    #[test]
    fn what_finds_no_room_is_named() {
        let own: Vec<_> = (0..LINES_MAX)
            .map(|n| item(&format!("article {n}"), 1))
            .collect();
        let (after, lines) = summed(&own, &[item("article 1", 1), item("cup", 3)]);
        assert_eq!(after.len(), LINES_MAX);
        assert_eq!((lines[0].quantity, lines[0].is_capped()), (2, false));
        assert_eq!((lines[1].quantity, lines[1].is_capped()), (0, true));
    }
}
