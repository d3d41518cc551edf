//! The body that places an order, read field by field.

use std::net::IpAddr;

use accounts::Role;
use chrono::{DateTime, Utc};
use domain::ids::{Handle, Sku};
use domain::money::{Currency, Money};
use domain::placing::{Address, Customer, LINES_MAX, QUANTITY_MAX};
use domain::promotion::Code;
use uuid::Uuid;

use super::fields::{Body, Fields};
use super::identity::Caller;
use super::paying::{self, Wanted};
use super::problem::Problem;
use super::{countries, email, phone};

pub(crate) const NAME_CHARS_MAX: usize = 200;
const STREET_CHARS_MAX: usize = 200;
const CITY_CHARS_MAX: usize = 100;
const POSTCODE_CHARS_MAX: usize = 20;

/// An order as submitted; prices and names may still have to be looked up.
#[derive(Debug, Clone)]
pub(crate) struct OrderBody {
    pub(crate) customer: Customer,
    pub(crate) destination: Destination,
    pub(crate) currency: Currency,
    pub(crate) shipping_cost: Option<Money>,
    /// How the goods are sent.
    pub(crate) shipping_method: Option<Handle>,
    /// Where they are picked up.
    pub(crate) pickup_point: Option<Handle>,
    pub(crate) payment: Wanted,
    pub(crate) placed_at: Option<DateTime<Utc>>,
    /// Where the customer says to pay from; for screening only.
    pub(crate) payer_country: Option<String>,
    /// Where the order came from, as the shop says; for screening only.
    pub(crate) client_ip: Option<IpAddr>,
    /// What the customer was shown; more than that is not asked of them.
    pub(crate) expected_total: Option<Money>,
    /// The promotion that the customer asks for.
    pub(crate) promotion_code: Option<Code>,
    pub(crate) items: Vec<Item>,
    staff_only: Vec<String>,
}

/// Where an order goes.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// As it says.
    Given(Address),
    /// To an address in the book of whoever orders.
    Kept(Uuid),
}

impl Destination {
    /// The country, where the order says it itself.
    fn country(&self) -> Option<&str> {
        match self {
            Self::Given(address) => Some(&address.country),
            Self::Kept(_) => None,
        }
    }
}

/// An order of what is in a cart: everything but the lines.
#[derive(Debug)]
pub(crate) struct CheckoutBody(OrderBody);

impl CheckoutBody {
    /// What the cart has to be in.
    pub(crate) fn currency(&self) -> Currency {
        self.0.currency
    }

    /// What is for staff to say is said by staff only.
    pub(crate) fn permit(&self, caller: Caller) -> Result<(), Problem> {
        self.0.permit(caller)
    }

    /// An order of these.
    pub(crate) fn of(&self, items: Vec<Item>) -> OrderBody {
        OrderBody { items, ..self.0.clone() }
    }
}

/// One line as submitted.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) sku: Sku,
    pub(crate) quantity: u32,
    /// The catalogue's, where staff gave none.
    pub(crate) unit_price: Option<Money>,
    /// The catalogue's, where staff gave none.
    pub(crate) name: Option<String>,
    /// What the customer was shown.
    pub(crate) expected_unit_price: Option<Money>,
    staff_only: Vec<String>,
}

impl Item {
    /// So many pieces at the catalogue's price.
    pub(crate) fn new(sku: Sku, quantity: u32) -> Self {
        let (unit_price, name, expected_unit_price) = (None, None, None);
        Self { sku, quantity, unit_price, name, expected_unit_price, staff_only: Vec::new() }
    }
}

impl OrderBody {
    /// Whether staff have said what it costs or when it was placed: history and quotations, which no
    /// promotion changes by itself.
    pub(crate) fn is_as_staff_say(&self) -> bool {
        let is_priced = |item: &Item| item.unit_price.is_some();
        self.placed_at.is_some() || self.items.iter().any(is_priced)
    }

    /// Prices, names and dates are given by staff only.
    pub(crate) fn permit(&self, caller: Caller) -> Result<(), Problem> {
        let of_items = self.items.iter().flat_map(|item| &item.staff_only);
        let given: Vec<String> = self.staff_only.iter().chain(of_items).cloned().collect();
        if given.is_empty() || caller.is_any_of(&[Role::Admin, Role::Importer]) {
            Ok(())
        } else {
            Err(Problem::staff_only_fields(given))
        }
    }
}

impl Body for OrderBody {
    const BYTES_MAX: usize = 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let placed_at = fields.optional_instant("placed_at");
        let dated = given(fields, &["placed_at"]);
        let order = read(fields, |fields, currency| {
            fields.list("items", LINES_MAX, |item| item_in(item, currency))
        });
        let mut order = order?;
        order.staff_only.extend(dated);
        Some(Self { placed_at, ..order })
    }
}

impl Body for CheckoutBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        read(fields, |_, _| Some(Vec::new())).map(Self)
    }
}

fn read(
    fields: &mut Fields<'_>,
    items: impl FnOnce(&mut Fields<'_>, Option<Currency>) -> Option<Vec<Item>>,
) -> Option<OrderBody> {
    let destination = destination(fields);
    // Numbers in national form are of where the goods go.
    let home = destination.as_ref().and_then(Destination::country);
    let customer = fields.object("customer", |fields| customer(fields, home));
    let currency = fields.currency("currency");
    let shipping_cost = fields.optional_money("shipping_cost", currency);
    let shipping_method = fields.optional_of("shipping_method", str::parse);
    let pickup_point = fields.optional_of("pickup_point", str::parse);
    if fields.has("pickup_point") && !fields.has("shipping_method") {
        fields.flaw("pickup_point", "is for a shipping_method, which is missing");
    }
    // What a method costs is worked out by its rates.
    let staff_only = if fields.has("shipping_method") {
        given(fields, &["shipping_cost"])
    } else {
        Vec::new()
    };
    let payment = paying::read(fields, currency);
    let payer_country = fields.optional_of("payer_country", countries::parse);
    let client_ip = fields.optional_of("client_ip", |text| {
        text.parse::<IpAddr>()
            .map_err(|_| "must be an IP address such as 203.0.113.7")
    });
    let expected_total = fields.optional_money("expected_total", currency);
    let promotion_code = fields.optional_of("promotion_code", str::parse);
    let items = items(fields, currency);
    Some(OrderBody {
        customer: customer?,
        destination: destination?,
        currency: currency?,
        shipping_cost,
        shipping_method,
        pickup_point,
        payment: payment?,
        placed_at: None,
        payer_country,
        client_ip,
        expected_total,
        promotion_code,
        items: items?,
        staff_only,
    })
}

fn customer(fields: &mut Fields<'_>, home: Option<&str>) -> Option<Customer> {
    let name = fields.text("name", NAME_CHARS_MAX);
    let email = fields.of("email", email::parse);
    let phone = fields.optional_of("phone", |text| phone::parse(text, home));
    Some(Customer { name: name?, email: email?, phone })
}

fn destination(fields: &mut Fields<'_>) -> Option<Destination> {
    let address_id = fields.optional_of("address_id", |text| {
        text.parse::<Uuid>()
            .map_err(|_| "must be the UUID of an address of GET /profile/addresses")
    });
    if !fields.has("address_id") {
        let address = fields.object("shipping_address", address);
        return address.map(Destination::Given);
    }
    let given = fields.optional_object("shipping_address", address);
    if given.is_some() {
        fields.flaw("address_id", "stands beside shipping_address; give one of them");
        return None;
    }
    address_id.map(Destination::Kept)
}

pub(crate) fn address(fields: &mut Fields<'_>) -> Option<Address> {
    let line1 = fields.text("line1", STREET_CHARS_MAX);
    let line2 = fields.optional_text("line2", STREET_CHARS_MAX);
    let city = fields.optional_text("city", CITY_CHARS_MAX);
    let postcode = fields.optional_text("postcode", POSTCODE_CHARS_MAX);
    let country = fields.of("country", countries::parse);
    Some(Address { line1: line1?, line2, city, postcode, country: country? })
}

fn item_in(fields: &mut Fields<'_>, currency: Option<Currency>) -> Option<Item> {
    let sku = fields.sku("sku");
    let quantity = fields.pieces("quantity", QUANTITY_MAX);
    let unit_price = fields.optional_money("unit_price", currency);
    let name = fields.optional_text("name", NAME_CHARS_MAX);
    let expected_unit_price = fields.optional_money("expected_unit_price", currency);
    let staff_only = given(fields, &["unit_price", "name"]);
    Some(Item {
        sku: sku?,
        quantity: quantity?,
        unit_price,
        name,
        expected_unit_price,
        staff_only,
    })
}

/// Pointers to those of these fields that the client gave.
fn given(fields: &Fields<'_>, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter(|name| fields.has(name))
        .map(|name| fields.pointer(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields;

    fn order() -> Value {
        json!({
            "customer": {"name": "Ada", "email": "ada@example.org"},
            "shipping_address": {"line1": "1 High Street", "country": "GB"},
            "currency": "GBP",
            "payment_method": "credit_card",
            "items": [{"sku": "cup", "quantity": 2}],
        })
    }

    fn with<T>(change: impl Fn(&mut Value) -> T) -> Result<OrderBody, Problem> {
        let mut body = order();
        change(&mut body);
        fields::read_value(&body, &["sandbox".to_owned()])
    }

    #[test]
    fn the_least_that_an_order_needs() {
        let order = with(|_| {}).unwrap();

        assert_eq!((order.payment.gateway, order.payment.token), (None, None));
        assert_eq!((order.items.len(), order.shipping_cost), (1, None));
    }

    #[test]
    fn every_amount_is_in_the_orders_currency() {
        let dollars = json!({"amount": "1.00", "currency": "USD"});
        let refused = with(|body| {
            body["shipping_cost"] = dollars.clone();
            body["items"][0]["unit_price"] = dollars.clone();
        });

        let problem = format!("{:?}", refused.unwrap_err());
        assert!(problem.contains("/shipping_cost/currency"), "{problem}");
        assert!(problem.contains("/items/0/unit_price/currency"), "{problem}");
    }

    #[test]
    fn a_methods_price_is_its_own_but_for_staff() {
        let given = |body: &mut Value| {
            body["shipping_method"] = "post".into();
            body["shipping_cost"] = json!({"amount": "1.00", "currency": "GBP"});
        };
        let order = with(given).unwrap();
        assert!(order.permit(Caller::Staff).is_ok());
        let refused = format!("{:?}", order.permit(Caller::Guest).unwrap_err());
        assert!(refused.contains("/shipping_cost"), "{refused}");
        let order = with(|body| body["shipping_method"] = "post".into()).unwrap();
        assert!(order.permit(Caller::Guest).is_ok());
        let nowhere = with(|body| body["pickup_point"] = "station".into()).unwrap_err();
        assert!(format!("{nowhere:?}").contains("/pickup_point"), "{nowhere:?}");
        assert!(with(|body| body["shipping_method"] = "By Post".into()).is_err());
    }

    #[test]
    fn only_staff_give_prices_names_and_dates() {
        let order = with(|body| {
            body["placed_at"] = "2010-12-01T08:26:00Z".into();
            body["items"][0]["name"] = "Mug".into();
        })
        .unwrap();

        assert!(order.permit(Caller::Staff).is_ok());
        let refused = order.permit(Caller::Guest).unwrap_err();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(format!("{refused:?}").contains("/items/0/name"));
        assert!(with(|_| {}).unwrap().permit(Caller::Guest).is_ok());
    }

    #[test]
    fn an_order_goes_to_one_address() {
        let kept = with(|body| {
            body["shipping_address"].take();
            body["address_id"] = Uuid::nil().to_string().into();
        });
        assert!(matches!(kept.unwrap().destination, Destination::Kept(id) if id.is_nil()));
        let given = with(|body| body["address_id"].take());
        assert!(matches!(given.unwrap().destination, Destination::Given(_)));

        let flawed = |change: fn(&mut Value)| format!("{:?}", with(change).unwrap_err());
        let both = flawed(|body| body["address_id"] = Uuid::nil().to_string().into());
        assert!(both.contains("give one of them"), "{both}");
        let none = flawed(|body| body["shipping_address"] = Value::Null);
        assert!(none.contains("/shipping_address"), "{none}");
        let bad = flawed(|body| {
            body["shipping_address"].take();
            body["address_id"] = "home".into();
        });
        assert!(bad.contains("GET /profile/addresses"), "{bad}");
    }

    #[test]
    fn the_sandbox_and_its_tokens_are_known() {
        for token in gateways::sandbox::tokens() {
            assert!(with(|body| body["payment_token"] = token.into()).is_ok(), "{token}");
        }
        assert!(with(|body| body["payment_token"] = "4242424242424242".into()).is_err());
        assert!(with(|body| body["gateway"] = "sandbox".into()).is_ok());
        assert!(with(|body| body["gateway"] = "piggybank".into()).is_err());
        assert!(with(|body| body["payment_method"] = "barter".into()).is_err());
    }
}
