//! What is put into a cart, and taken out of it again.

use std::collections::{HashMap, HashSet};

use domain::ids::Sku;
use domain::money::Currency;
use domain::placing::{LINES_MAX, QUANTITY_MAX};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Cart, CartItem, Carts, Error, FOR_UPDATE, Row, Whose, filled, find, items, touch};

/// What becomes of an article in a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many more pieces.
    Add(u32),
    /// So many pieces; none takes the line out.
    Set(u32),
}

impl Carts {
    /// Changes some lines, all of them or none.
    pub async fn change(&self, whose: Whose<'_>, changes: &[(Sku, Change)]) -> Result<Cart, Error> {
        self.amend(whose, None, changes).await
    }

    /// The same, and what prices are shown in, where that is given.
    pub async fn amend(
        &self,
        whose: Whose<'_>,
        currency: Option<Currency>,
        changes: &[(Sku, Change)],
    ) -> Result<Cart, Error> {
        let mut transaction = self.pool.begin().await?;
        let row = find(&mut transaction, whose, FOR_UPDATE).await?;
        if let Some(currency) = currency {
            sqlx::query("update carts set currency = $2 where cart_id = $1")
                .bind(row.cart_id)
                .bind(currency.code())
                .execute(&mut *transaction)
                .await?;
        }
        let cart = amended(&mut transaction, &row, changes).await?;
        transaction.commit().await?;
        Ok(cart)
    }

    /// Puts so many more pieces in, all of them or none, and once, however often this addition is asked
    /// for: it is written down with what it changes.
    pub async fn add(
        &self,
        whose: Whose<'_>,
        addition_id: Uuid,
        pieces: &[(Sku, u32)],
    ) -> Result<Cart, Error> {
        let mut transaction = self.pool.begin().await?;
        let row = find(&mut transaction, whose, FOR_UPDATE).await?;
        let first = sqlx::query(
            "insert into cart_additions (addition_id, cart_id) values ($1, $2) \
             on conflict (addition_id) do nothing",
        )
        .bind(addition_id)
        .bind(row.cart_id)
        .execute(&mut *transaction)
        .await?;
        if first.rows_affected() == 0 {
            return filled(&mut transaction, row).await;
        }
        let changes: Vec<_> = pieces
            .iter()
            .map(|(sku, quantity)| (sku.clone(), Change::Add(*quantity)))
            .collect();
        let cart = amended(&mut transaction, &row, &changes).await?;
        transaction.commit().await?;
        Ok(cart)
    }
}

/// Changes some lines of a cart that is locked.
async fn amended(
    connection: &mut PgConnection,
    row: &Row,
    changes: &[(Sku, Change)],
) -> Result<Cart, Error> {
    let before = items(connection, row.cart_id).await?;
    let after = changed(&before, changes)?;
    write(connection, row.cart_id, &before, &after).await?;
    touch(connection, row).await?.with(after)
}

/// What is in a cart after some changes, one after another.
fn changed(before: &[CartItem], changes: &[(Sku, Change)]) -> Result<Vec<CartItem>, Error> {
    let mut after = before.to_vec();
    let mut index_of: HashMap<Sku, usize> = HashMap::with_capacity(after.len());
    index_of.extend(
        after
            .iter()
            .enumerate()
            .map(|(i, item)| (item.sku.clone(), i)),
    );
    for (sku, change) in changes {
        let index = *index_of.entry(sku.clone()).or_insert_with(|| {
            after.push(CartItem { sku: sku.clone(), quantity: 0 });
            after.len() - 1
        });
        let quantity = &mut after[index].quantity;
        *quantity = match change {
            Change::Set(pieces) => *pieces,
            Change::Add(pieces) => quantity.saturating_add(*pieces),
        };
        if QUANTITY_MAX < *quantity {
            return Err(Error::TooManyPieces { sku: sku.clone() });
        }
    }
    after.retain(|item| 0 < item.quantity);
    if LINES_MAX < after.len() {
        return Err(Error::TooManyLines);
    }
    Ok(after)
}

/// Writes down what is not yet so.
pub(super) async fn write(
    connection: &mut PgConnection,
    cart_id: Uuid,
    before: &[CartItem],
    after: &[CartItem],
) -> Result<(), Error> {
    let stays: HashSet<&Sku> = after.iter().map(|item| &item.sku).collect();
    let gone = before.iter().filter(|item| !stays.contains(&item.sku));
    let gone: Vec<&str> = gone.map(|item| item.sku.as_str()).collect();
    if !gone.is_empty() {
        sqlx::query("delete from cart_items where cart_id = $1 and sku = any($2)")
            .bind(cart_id)
            .bind(gone)
            .execute(&mut *connection)
            .await?;
    }
    let was: HashMap<&Sku, u32> = before
        .iter()
        .map(|item| (&item.sku, item.quantity))
        .collect();
    let new = after
        .iter()
        .filter(|item| was.get(&item.sku) != Some(&item.quantity));
    let (skus, quantities): (Vec<&str>, Vec<i32>) = new
        .map(|item| (item.sku.as_str(), i32::try_from(item.quantity).unwrap_or(i32::MAX)))
        .unzip();
    if skus.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into cart_items (cart_id, sku, quantity) \
         select $1, sku, quantity from unnest($2::text[], $3::integer[]) \
             with ordinality as new (sku, quantity, place) order by place \
         on conflict (cart_id, sku) do update set quantity = excluded.quantity",
    )
    .bind(cart_id)
    .bind(skus)
    .bind(quantities)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sku(text: &str) -> Sku {
        text.parse().unwrap()
    }

    fn cart(items: &[(&str, u32)]) -> Vec<CartItem> {
        let item = |(of, quantity): &(&str, u32)| CartItem { sku: sku(of), quantity: *quantity };
        items.iter().map(item).collect()
    }

    #[test]
    fn lines_are_added_changed_and_taken_out_and_keep_their_order() {
        let before = cart(&[("cup", 2), ("pot", 1)]);
        for (changes, after) in [
            (vec![("cup", Change::Add(3))], cart(&[("cup", 5), ("pot", 1)])),
            (vec![("cup", Change::Set(3))], cart(&[("cup", 3), ("pot", 1)])),
            (vec![("cup", Change::Set(0))], cart(&[("pot", 1)])),
            (vec![("jug", Change::Set(0))], before.clone()),
            (
                vec![("jug", Change::Add(1)), ("jug", Change::Add(1))],
                cart(&[("cup", 2), ("pot", 1), ("jug", 2)]),
            ),
        ] {
            let changes: Vec<_> = changes
                .into_iter()
                .map(|(of, change)| (sku(of), change))
                .collect();
            assert_eq!(changed(&before, &changes).unwrap(), after, "{changes:?}");
        }
    }

    #[test]
    fn a_cart_has_no_more_than_an_order_may_have() {
        let full = cart(&[("cup", QUANTITY_MAX)]);
        let one_more = changed(&full, &[(sku("cup"), Change::Add(1))]);
        assert!(matches!(one_more, Err(Error::TooManyPieces { sku: of }) if of == sku("cup")));

        let add = |n: usize| (sku(&format!("article {n}")), Change::Add(1));
        let most: Vec<_> = (0..LINES_MAX).map(add).collect();
        assert_eq!(changed(&[], &most).unwrap().len(), LINES_MAX);
        let too_many: Vec<_> = (0..=LINES_MAX).map(add).collect();
        assert!(matches!(changed(&[], &too_many), Err(Error::TooManyLines)));
        // Something has to go first, and may in the same breath.
        let swapped = [too_many, vec![(sku("article 0"), Change::Set(0))]].concat();
        assert_eq!(changed(&[], &swapped).unwrap().len(), LINES_MAX);
    }
}
