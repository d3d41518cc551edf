//! How payloads of older schema versions are read today. Stored bytes never change; every reader
//! goes through this table.

use serde_json::Value;

/// Lifts a payload by one schema version.
type Step = fn(&mut Value);

/// (stored name, version the step lifts from, step); steps of one name follow one another.
const STEPS: [(&str, u32, Step); 1] = [("order.placed", 1, order_placed_knows_shipping)];

/// Version 1 was written before shipping was charged for: it cost nothing.
fn order_placed_knows_shipping(payload: &mut Value) {
    if let Some(fields) = payload.as_object_mut() {
        fields.entry("shipping_minor").or_insert_with(|| 0.into());
    }
}

/// The current form of a payload and its version; `None` if it is current already.
pub fn from_value(name: &str, version: &str, payload: &Value) -> Option<(Value, u32)> {
    // Nearly every event is current: look before anything is copied.
    let mut version = STEPS
        .iter()
        .any(|(of, ..)| *of == name)
        .then(|| version.parse::<u32>().ok())
        .flatten()?;
    let mut lifted: Option<Value> = None;
    for (of, from, step) in STEPS {
        if of == name && from == version {
            step(lifted.get_or_insert_with(|| payload.clone()));
            version = version.saturating_add(1);
        }
    }
    lifted.map(|payload| (payload, version))
}

/// The same for a payload as stored text.
pub(crate) fn from_text(
    name: &str,
    version: &str,
    payload: &str,
) -> serde_json::Result<Option<String>> {
    let outdated = |(of, from, _): &(&str, u32, Step)| *of == name && from.to_string() == version;
    if !STEPS.iter().any(outdated) {
        return Ok(None);
    }
    let payload = serde_json::from_str(payload)?;
    Ok(from_value(name, version, &payload).map(|(payload, _)| payload.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::order;
    use crate::testing::an_order;

    #[test]
    fn an_order_from_before_shipping_was_charged_for_reads_as_shipped_for_nothing() {
        let current = serde_json::to_value(order::Event::Placed(Box::new(an_order()))).unwrap();
        let mut first = current.clone();
        first.as_object_mut().unwrap().remove("shipping_minor");

        let read = Event::read("order", "order.placed", "1", &first.to_string()).unwrap();

        let Event::Order(order::Event::Placed(placing)) = read else {
            panic!("an order.placed reads as one")
        };
        assert_eq!(placing.shipping_minor, 0);
        assert_eq!(from_value("order.placed", "2", &current), None);
    }

    #[test]
    fn every_event_is_written_in_the_version_that_the_last_step_leads_to() {
        let event = order::Event::Placed(Box::new(an_order()));
        let last = STEPS
            .iter()
            .filter(|(name, ..)| *name == event.name())
            .count();
        assert_eq!(usize::try_from(event.schema_version()).unwrap(), last + 1);
    }

    #[test]
    fn a_stored_event_that_nobody_knows_says_so() {
        let error = Event::read("order", "order.eaten", "1", r#"{"type":"order.eaten"}"#);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("order.eaten"), "{text}");
    }
}
