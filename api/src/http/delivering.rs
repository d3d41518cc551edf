//! How an order is sent, and what that costs: by the methods and pick-up points in memory, so that an
//! order asks no database.
//!
//! 1. What this process has acknowledged counts for every order from then on, what another process
//!    has, as soon as the feed brings it.
//! 2. Newer descriptions are never replaced by older ones: versions decide.
//! 3. A quote and an order are worked out by the same code.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use accounts::Role;
use axum::http::StatusCode;
use domain::delivery::{self, Destination, Method, Parcel, Point, Unavailable};
use domain::event::Event;
use domain::ids::{Handle, Sku};
use domain::money::{AMOUNT_MINOR_MAX, Money};
use domain::placing::{Line, PickupPoint, Placing, Shipping};
use projections::ReadModels;
use store::feed::Feeds;
use store::recorded::RecordedEvent;

use super::App;
use super::identity::Caller;
use super::order_body::OrderBody;
use super::problem::{Flaw, Problem};

/// Articles without a weight that a refusal names: an order has up to 2,000.
const UNWEIGHED_TOLD_MAX: usize = 50;

/// The methods and pick-up points of the shop; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Deliveries {
    known: Arc<RwLock<Arc<Known>>>,
}

/// What is known of delivery at a moment, each with the version that it is of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    methods: BTreeMap<Handle, (i64, Arc<Method>)>,
    points: BTreeMap<Handle, (i64, Arc<Point>)>,
}

impl Known {
    /// Every method, by its name in orders.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&Handle, &Method)> {
        self.methods.iter().map(|(id, (_, method))| (id, &**method))
    }

    fn method(&self, id: &Handle) -> Option<&Method> {
        self.methods.get(id).map(|(_, method)| &**method)
    }

    fn point(&self, id: &Handle) -> Option<&Point> {
        self.points.get(id).map(|(_, point)| &**point)
    }

    /// The points of a method that can be chosen in a country.
    pub(crate) fn points_in<'a>(
        &'a self,
        points: &'a [Handle],
        country: &'a str,
    ) -> impl Iterator<Item = (&'a Handle, &'a Point)> {
        let known = points.iter().filter_map(|id| Some((id, self.point(id)?)));
        known.filter(move |(_, point)| point.active && point.address.country == country)
    }

    /// What a method asks for a parcel: one to pick-up points goes where there are any.
    pub(crate) fn price(&self, method: &Method, parcel: Parcel<'_>) -> Result<i64, Unavailable> {
        let price_minor = method.price_of(parcel)?;
        match &method.to {
            Destination::PickupPoint { points }
                if self.points_in(points, parcel.country).next().is_none() =>
            {
                Err(Unavailable::Country)
            }
            Destination::PickupPoint { .. } | Destination::Address => Ok(price_minor),
        }
    }
}

impl Deliveries {
    /// Those of the read model, and the position from which on they are to be kept up.
    pub async fn open(read_models: &ReadModels) -> Result<(Self, i64), projections::Error> {
        let deliveries = Self::default();
        // Before the rows are read: what comes meanwhile is heard twice, and counts once.
        let mark = read_models.reached(projections::delivery::NAME).await?;
        let (methods, points) = projections::delivery::all(read_models.reads()).await?;
        for (id, version, method) in methods {
            deliveries.method_described(&id, version, &method);
        }
        for (id, version, point) in points {
            deliveries.point_described(&id, version, &point);
        }
        Ok((deliveries, mark))
    }

    /// A method is offered like this since a version of it.
    pub(crate) fn method_described(&self, id: &Handle, version: i64, method: &Method) {
        self.change(|known| put(&mut known.methods, id, version, method));
    }

    /// A pick-up point is like this since a version of it.
    pub(crate) fn point_described(&self, id: &Handle, version: i64, point: &Point) {
        self.change(|known| put(&mut known.points, id, version, point));
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Known::clone(&known);
        change(&mut changed);
        *known = Arc::new(changed);
    }

    /// Hears what other processes describe, from `mark` on, for ever.
    pub async fn keep_up(self, feeds: Feeds, mark: i64) {
        let late = "changes of shipping rates are heard late";
        feeds
            .follow(mark, late, |batch| batch.iter().for_each(|event| self.hear(event)))
            .await;
    }

    fn hear(&self, recorded: &RecordedEvent) {
        use delivery::Event as E;

        let version = recorded.sequence;
        match &recorded.event {
            Event::Delivery(E::MethodDescribed { method_id, method }) => {
                self.method_described(method_id, version, method);
            }
            Event::Delivery(E::PointDescribed { point_id, point }) => {
                self.point_described(point_id, version, point);
            }
            _ => {}
        }
    }

    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn put<T: Clone>(
    all: &mut BTreeMap<Handle, (i64, Arc<T>)>,
    id: &Handle,
    version: i64,
    described: &T,
) {
    if all.get(id).is_none_or(|(known, _)| *known <= version) {
        all.insert(id.clone(), (version, Arc::new(described.clone())));
    }
}

/// What the articles of an order weigh.
#[derive(Debug)]
pub(crate) struct Weighed {
    /// All of them; nothing if that is not known.
    pub(crate) grams: Option<u64>,
    /// Those of which nobody has said it, each once, in order of first appearance.
    pub(crate) unknown: Vec<Sku>,
}

/// Adds up what the lines weigh by the catalogue of the moment.
pub(crate) async fn weigh(app: &App, lines: &[Line]) -> Result<Weighed, Problem> {
    let mut skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let offers = app.offers.of(&app.journal, &skus).await?;
    let (mut grams, mut unknown, mut told) = (0_u64, Vec::new(), HashSet::new());
    for line in lines {
        let offer = offers.get(line.sku.as_str());
        match offer.and_then(|offer| offer.weight_grams) {
            Some(weight) => {
                let of_line = u64::from(weight).saturating_mul(line.quantity.into());
                grams = grams.saturating_add(of_line);
            }
            None if told.insert(&line.sku) => unknown.push(line.sku.clone()),
            None => {}
        }
    }
    Ok(Weighed { grams: unknown.is_empty().then_some(grams), unknown })
}

/// What the goods of an order cost after the discount. What cannot even be added up is refused by the
/// order itself.
pub(crate) fn goods_of(placing: &Placing) -> Money {
    let total_minor = placing
        .total_if_any()
        .map_or(AMOUNT_MINOR_MAX, |total| total.minor);
    let minor = total_minor.saturating_sub(placing.shipping_minor);
    Money { minor, currency: placing.currency }
}

/// How an order is sent, and what it is asked for that.
pub(crate) struct Sent {
    pub(crate) shipping: Shipping,
    pub(crate) price_minor: i64,
}

/// How the order is sent by the method that it names, if it names one; or why it cannot be.
pub(crate) async fn choose(
    app: &App,
    caller: Caller,
    order: &OrderBody,
    placing: &Placing,
) -> Result<Result<Option<Sent>, Problem>, Problem> {
    let Some(method_id) = &order.shipping_method else {
        let is_staff = caller.is_any_of(&[Role::Admin, Role::Importer]);
        return Ok(if app.settings.shipping_required && !is_staff {
            Err(method_missing())
        } else {
            Ok(None)
        });
    };
    let weighed = weigh(app, &placing.lines).await?;
    Ok(sent(&app.deliveries.known(), method_id, order, placing, &weighed).map(Some))
}

fn sent(
    known: &Known,
    method_id: &Handle,
    order: &OrderBody,
    placing: &Placing,
    weighed: &Weighed,
) -> Result<Sent, Problem> {
    let Some(method) = known.method(method_id) else {
        let detail = "there is no such shipping method; GET /shipping/methods lists them";
        return Err(refused("shipping_method_unknown", "/shipping_method", detail));
    };
    let point = point_of(known, method, order.pickup_point.as_ref())?;
    let price_minor = if let Some(cost) = order.shipping_cost {
        // As staff say: a quotation, or history.
        cost.minor
    } else {
        let to = point.map_or(&placing.shipping_address, |(_, point)| &point.address);
        let (country, goods) = (to.country.as_str(), goods_of(placing));
        let parcel = Parcel { country, goods, grams: weighed.grams };
        let price = method.price_of(parcel);
        price.map_err(|why| unavailable(why, placing, &weighed.unknown))?
    };
    let pickup_point = point.map(|(id, point)| PickupPoint {
        id: id.clone(),
        name: point.name.clone(),
        address: point.address.clone(),
    });
    let shipping = Shipping {
        method: method_id.clone(),
        name: method.name.clone(),
        pickup_point,
        weight_grams: weighed.grams,
        days: method.days,
    };
    Ok(Sent { shipping, price_minor })
}

/// Where the customer picks the goods up, if the method has them do so.
fn point_of<'a>(
    known: &'a Known,
    method: &Method,
    wanted: Option<&'a Handle>,
) -> Result<Option<(&'a Handle, &'a Point)>, Problem> {
    let refused = |code, detail| Err(refused(code, "/pickup_point", detail));
    match (&method.to, wanted) {
        (Destination::Address, None) => Ok(None),
        (Destination::Address, Some(_)) => refused(
            "pickup_point_unknown",
            "the method goes to the order's address: leave pickup_point out",
        ),
        (Destination::PickupPoint { .. }, None) => {
            refused("pickup_point_missing", "the method goes to pick-up points: name one of them")
        }
        (Destination::PickupPoint { points }, Some(id)) => match known.point(id) {
            Some(point) if points.contains(id) && point.active => Ok(Some((id, point))),
            Some(_) if points.contains(id) => {
                refused("pickup_point_inactive", "nothing is picked up at this point at the moment")
            }
            _ => refused("pickup_point_unknown", "the method has no such pick-up point"),
        },
    }
}

fn unavailable(why: Unavailable, placing: &Placing, unweighed: &[Sku]) -> Problem {
    let detail = format!(
        "the shipping method does not carry this order: {why}; POST /shipping/quotes tells which do"
    );
    let mut flaws = vec![Flaw { pointer: "/shipping_method".to_owned(), detail: why.to_string() }];
    if why == Unavailable::WeightUnknown {
        let lines = placing.lines.iter().enumerate();
        let unweighed = lines.filter(|(_, line)| unweighed.contains(&line.sku));
        flaws.extend(unweighed.take(UNWEIGHED_TOLD_MAX).map(|(index, _)| Flaw {
            pointer: format!("/items/{index}/sku"),
            detail: "has no weight".to_owned(),
        }));
    }
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "shipping_unavailable", detail)
        .with_member("reason", why.name())
        .with_flaws(flaws)
}

fn method_missing() -> Problem {
    let detail = "orders name a shipping method here; POST /shipping/quotes tells which there are";
    refused("shipping_method_missing", "/shipping_method", detail)
}

fn refused(code: &'static str, pointer: &str, detail: &str) -> Problem {
    let flaw = Flaw { pointer: pointer.to_owned(), detail: detail.to_owned() };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).with_flaws(vec![flaw])
}

#[cfg(test)]
mod tests {
    use domain::delivery::{Band, Table};
    use domain::placing::Address;

    use super::*;

    fn id(text: &str) -> Handle {
        text.parse().unwrap()
    }

    fn method(price_minor: i64, to: Destination) -> Method {
        Method {
            name: "Post".into(),
            description: String::new(),
            to,
            active: true,
            countries: vec![],
            rates: vec![Table {
                currency: "GBP".parse().unwrap(),
                free_from_minor: None,
                bands: vec![Band { price_minor, ..Band::default() }],
            }],
            days: None,
        }
    }

    fn point(country: &str, active: bool) -> Point {
        let address = Address {
            line1: "Platform 1".into(),
            line2: None,
            city: None,
            postcode: None,
            country: country.into(),
        };
        Point { name: "Kiosk".into(), address, opening_hours: String::new(), active }
    }

    fn to_britain() -> Parcel<'static> {
        let goods = Money { minor: 900, currency: "GBP".parse().unwrap() };
        Parcel { country: "GB", goods, grams: None }
    }

    #[test]
    fn newer_rates_are_never_replaced_by_older_ones() {
        let deliveries = Deliveries::default();
        let price = || {
            let known = deliveries.known();
            known.price(known.method(&id("post")).unwrap(), to_britain())
        };
        deliveries.method_described(&id("post"), 2, &method(500, Destination::Address));
        deliveries.method_described(&id("post"), 1, &method(450, Destination::Address));
        assert_eq!(price(), Ok(500));
        deliveries.method_described(&id("post"), 3, &method(550, Destination::Address));
        assert_eq!(price(), Ok(550));
    }

    #[test]
    fn a_method_to_pickup_points_goes_where_one_of_them_is_open() {
        let deliveries = Deliveries::default();
        let points = vec![id("here"), id("there")];
        let collect = method(100, Destination::PickupPoint { points });
        deliveries.point_described(&id("there"), 1, &point("FR", true));
        deliveries.point_described(&id("here"), 2, &point("GB", false));
        deliveries.point_described(&id("others"), 3, &point("GB", true));
        assert_eq!(deliveries.known().price(&collect, to_britain()), Err(Unavailable::Country));
        deliveries.point_described(&id("here"), 4, &point("GB", true));
        assert_eq!(deliveries.known().price(&collect, to_britain()), Ok(100));
    }
}
