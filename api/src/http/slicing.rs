//! Which events somebody wants: the parameters that `GET /events`, the live tail and exports share,
//! and what they mean for the log and for an event that has just been added to it.

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use projections::{forgotten_in, order_of, timeline};
use sqlx::PgPool;
use store::log::Slice;
use store::recorded::RecordedEvent;
use utoipa::IntoParams;
use uuid::Uuid;

use super::App;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::Asking;

const AGGREGATES: [&str; 10] = [
    "order",
    "payment",
    "inventory",
    "product",
    "person",
    "listing",
    "categories",
    "vendor",
    "promotion",
    "delivery",
];

/// For the document; [`Wanted::read`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct SliceParameters {
    /// First position
    from: Option<i64>,
    /// Last position
    to: Option<i64>,
    /// Recorded then or later; time or day
    since: Option<DateTime<Utc>>,
    /// Recorded before then
    until: Option<DateTime<Utc>>,
    /// order, payment, inventory, product, person, listing, categories, vendor, promotion or delivery
    aggregate: Option<String>,
    /// A UUID, the SKU, or the handle
    aggregate_id: Option<String>,
    /// Stored name, such as order.placed
    r#type: Option<String>,
    /// Of this order, its payment, its stock
    order_id: Option<Uuid>,
}

/// A wish for events. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    slice: Slice,
    order_id: Option<OrderId>,
}

impl Wanted {
    pub(crate) fn read(parameters: &mut Parameters) -> Self {
        let names: Vec<&str> = Event::names().collect();
        let slice = Slice {
            from: parameters.integer("from", 0..=i64::MAX),
            to: parameters.integer("to", 0..=i64::MAX),
            since: parameters.instant("since"),
            until: parameters.instant("until"),
            aggregate: parameters.one_of("aggregate", &AGGREGATES),
            aggregate_id: parameters.text("aggregate_id"),
            event_type: parameters.one_of("type", &names),
            positions: None,
        };
        Self { slice, order_id: parameters.optional("order_id", str::parse) }
    }

    /// Leaves out what is before a position.
    pub(crate) fn begin_at(&mut self, position: Option<i64>) {
        self.slice.from = self.slice.from.max(position);
    }

    /// The first position that is asked for.
    pub(crate) fn from(&self) -> Option<i64> {
        self.slice.from
    }

    /// The last position that is asked for.
    pub(crate) fn to(&self) -> Option<i64> {
        self.slice.to
    }

    /// Whether all of the log up to some position is asked for, and nothing is left out of it.
    pub(crate) fn is_whole(&self) -> bool {
        let Slice { from, to: _, since, until, aggregate, aggregate_id, event_type, positions } =
            &self.slice;
        from.is_none_or(|from| from <= 1)
            && (since.is_none() && until.is_none())
            && (aggregate.is_none() && aggregate_id.is_none() && event_type.is_none())
            && (positions.is_none() && self.order_id.is_none())
    }

    /// What is there of it now: a slice with an end, and the position up to which it was looked
    /// for, once that is the one asked for.
    pub(crate) async fn settled(self, asking: &Asking, app: &App) -> Result<(i64, Slice), Problem> {
        let mut slice = self.slice;
        let mut position = asking.log_position(app).await?;
        if let Some(order_id) = self.order_id {
            position = asking.position(app, &[timeline::NAME]).await?;
            let positions = timeline::positions_of(app.read_models.reads(), order_id).await?;
            slice.positions = Some(positions);
        }
        slice.to = Some(slice.to.unwrap_or(position).min(position));
        Ok((position, slice))
    }

    /// The same without a server: straight from the database, whose connections find the read
    /// models.
    pub(crate) async fn settled_in(
        self,
        pool: &PgPool,
    ) -> Result<(i64, Slice), projections::Error> {
        let mut slice = self.slice;
        let mut position = store::log::head(pool).await?;
        if let Some(order_id) = self.order_id {
            // Before the rows: they may only be further by then.
            let mark = sqlx::query_scalar("select position from marks where name = $1");
            position = mark.bind(timeline::NAME).fetch_one(pool).await?;
            slice.positions = Some(timeline::positions_of(pool, order_id).await?);
        }
        slice.to = Some(slice.to.unwrap_or(position).min(position));
        Ok((position, slice))
    }

    /// Whether an event that has just been added is asked for.
    pub(crate) fn holds(&self, event: &RecordedEvent) -> bool {
        // As the timeline has it, by which what is stored is looked for.
        let of_order =
            |order_id| order_of(event) == Some(order_id) || forgotten_in(event).contains(&order_id);
        self.order_id.is_none_or(of_order) && self.slice.holds(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<Wanted> {
        let mut parameters = Parameters::of(query);
        let wanted = Wanted::read(&mut parameters);
        parameters.finish().map(|()| wanted).ok()
    }

    #[test]
    fn a_wish_begins_at_the_later_of_two_positions() {
        for (query, position, from) in [
            ("from=3", Some(7), Some(7)),
            ("from=9", Some(7), Some(9)),
            ("from=3", None, Some(3)),
            ("", None, None),
        ] {
            let mut wanted = read(query).unwrap();
            wanted.begin_at(position);
            assert_eq!(wanted.from(), from, "{query} {position:?}");
        }
        for query in [
            "from=-1",
            "aggregate=basket",
            "type=order.eaten",
            "order_id=x",
        ] {
            assert!(read(query).is_none(), "{query}");
        }
    }

    #[test]
    fn only_a_log_without_holes_is_whole() {
        for (query, is_whole) in [
            ("", true),
            ("from=0", true),
            ("from=1&to=9", true),
            ("from=2", false),
            ("since=2026-01-01", false),
            ("until=2026-01-01", false),
            ("aggregate=order", false),
            ("aggregate_id=cup", false),
            ("type=order.placed", false),
            ("order_id=01890000-0000-7000-8000-000000000000", false),
        ] {
            assert_eq!(read(query).unwrap().is_whole(), is_whole, "{query}");
        }
    }
}
