//! What of an event is somebody's personal data, and what stands in its place once it is gone.
//!
//! The store seals these fields before an event reaches the log, and opens them for whoever reads
//! it; everything else of an event is stored as it is. Whoever adds a field that tells who somebody
//! is, where they live or how they are reached adds it here as well; what is sealed already says by
//! itself which fields it holds, so old events are read as before.

use serde_json::json;

use crate::placing::{Address, Customer, Placing};

/// Why a field cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// Its key was destroyed: for ever.
    Forgotten,
    /// Whoever reads has no master key: others may see it.
    Sealed,
}

impl Hidden {
    /// The word that stands for what is not shown.
    fn word(self) -> &'static str {
        match self {
            Self::Forgotten => "forgotten",
            Self::Sealed => "sealed",
        }
    }

    /// In place of a text.
    pub fn text(self) -> String {
        format!("[{}]", self.word())
    }

    /// In place of somebody. No mail server answers for the domain (RFC 2606), and nobody can prove
    /// the address.
    pub fn customer(self) -> Customer {
        let email = format!("{}@invalid", self.word());
        Customer { name: self.text(), email, phone: None }
    }

    /// Whether this stands in place of somebody.
    pub fn stands_for(customer: &Customer) -> bool {
        [Self::Forgotten, Self::Sealed]
            .iter()
            .any(|hidden| hidden.customer().email == customer.email)
    }
}

/// A personal field of an event's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Where it is: the name of a member, or `object.member`.
    pub path: &'static str,
    remains: Remains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remains {
    Nothing,
    Text,
    Customer,
}

impl Field {
    const fn new(path: &'static str, remains: Remains) -> Self {
        Self { path, remains }
    }

    /// What is read in its place, as JSON; `None` where the member is left out.
    pub fn in_place(&self, hidden: Hidden) -> Option<String> {
        match self.remains {
            Remains::Nothing => None,
            Remains::Text => Some(json!(hidden.text()).to_string()),
            Remains::Customer => {
                let Customer { name, email, phone: _none } = hidden.customer();
                Some(json!({"name": name, "email": email}).to_string())
            }
        }
    }
}

const OF_A_PLACED_ORDER: &[Field] = &[
    Field::new("customer", Remains::Customer),
    Field::new("shipping_address.line1", Remains::Text),
    Field::new("shipping_address.line2", Remains::Nothing),
    Field::new("shipping_address.city", Remains::Nothing),
    Field::new("shipping_address.postcode", Remains::Nothing),
    // A phone number, where a mobile network's wallet pays.
    Field::new("payment.token", Remains::Text),
];
const OF_AN_ATTEMPT: &[Field] = &[Field::new("token", Remains::Text)];

/// The personal fields of events of this stored name; most have none.
pub fn fields_of(event_type: &str) -> &'static [Field] {
    match event_type {
        "order.placed" => OF_A_PLACED_ORDER,
        "payment.attempt_started" => OF_AN_ATTEMPT,
        _ => &[],
    }
}

impl Placing {
    /// The order as it reads once its personal data is forgotten: whoever keeps a copy makes it
    /// this.
    pub fn forget(&mut self) {
        let hidden = Hidden::Forgotten;
        self.customer = hidden.customer();
        // Each field is named, so that a new one does not stay by accident.
        let Address { line1, line2, city, postcode, country: _not_personal } =
            &mut self.shipping_address;
        *line1 = hidden.text();
        (*line2, *city, *postcode) = (None, None, None);
        self.payment.token = self.payment.token.take().map(|_| hidden.text());
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::an_order;

    #[test]
    fn a_forgotten_order_keeps_what_is_bought_and_the_country_and_nothing_of_the_person() {
        let mut placing = an_order();
        placing.customer.phone = Some("+44 20 7946 0000".into());
        placing.shipping_address.city = Some("London".into());
        placing.payment.token = Some("46733123450".into());
        let before = placing.clone();

        placing.forget();

        let text = serde_json::to_string(&placing).unwrap();
        for gone in ["Ada", "ada@", "7946", "James", "London", "46733123450"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert_eq!(placing.shipping_address.country, before.shipping_address.country);
        assert_eq!((placing.lines, placing.payment_id), (before.lines, before.payment_id));
    }

    #[test]
    fn an_order_without_a_token_has_none_afterwards() {
        let mut placing = an_order();
        placing.payment.token = None;
        placing.forget();
        assert_eq!(placing.payment.token, None);
    }
}
