//! Differences as rows. They are shown as they come, so that columns have widths of their own.

use super::lines::Difference;

/// Columns and their widths: kinds and outcomes are words of ours, a refund's name is a UUID.
const WIDTHS: [usize; 6] = [19, 7, 36, 30, 30, 8];

pub(super) fn heading() -> String {
    line([
        "KIND",
        "WHAT",
        "REFERENCE",
        "PROVIDER SAYS",
        "LOG SAYS",
        "OUTCOME",
    ])
}

pub(super) fn row(difference: &Difference) -> String {
    let named = difference.reference.as_deref();
    let named = named.or(difference.provider_reference.as_deref());
    line([
        &difference.kind,
        &difference.what,
        named.unwrap_or("-"),
        &difference.there,
        &difference.here,
        &difference.outcome,
    ])
}

fn line(cells: [&str; 6]) -> String {
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| {
        // What comes from outside must not steer a terminal.
        let cell: String = cell.chars().filter(|c| !c.is_control()).collect();
        format!("{cell:<width$}")
    });
    let text = padded.collect::<Vec<_>>().join("  ");
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up_and_cannot_steer_a_terminal() {
        let difference = Difference {
            kind: "unknown_money".to_owned(),
            what: "payment".to_owned(),
            reference: None,
            provider_reference: Some("pi_1\u{1b}[2J".to_owned()),
            payment_id: None,
            there: "succeeded 15.30 GBP".to_owned(),
            here: "nothing".to_owned(),
            outcome: "parked".to_owned(),
        };
        let (heading, row) = (heading(), row(&difference));
        let at = |text: &str, cell: &str| text.find(cell).unwrap();
        assert_eq!(at(&heading, "PROVIDER SAYS"), at(&row, "succeeded"));
        assert_eq!(at(&heading, "OUTCOME"), at(&row, "parked"));
        assert!(!row.contains('\u{1b}'), "{row:?}");
    }
}
