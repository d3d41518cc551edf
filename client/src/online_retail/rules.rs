//! Which lines of the file are order lines, and why the others are none.
//!
//! Rules are listed in the order in which they are asked, so that each line has one reason: first
//! whether it can be read as a record, then what it is to the business, then whether the order
//! line could be placed.

use std::borrow::Cow;
use std::num::IntErrorKind;

use chrono::NaiveDateTime;
use csv::ByteRecord;

use super::countries;
use super::pence::{self, NotAPrice};

/// The columns that the file has to have, in this order.
pub(super) const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// The server's bounds.
const SKU_CHARS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 200;
const QUANTITY_MAX: i64 = 1_000_000;
/// Fits a `u64` with room, and every key.
const INVOICE_DIGITS_MAX: usize = 18;
/// Leaves room for the rest of a mail address's local part.
const CUSTOMER_DIGITS_MAX: usize = 32;
const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// Why a line is no order line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Rule {
    LineTooLong,
    UnclosedQuote,
    WrongNumberOfFields,
    InvalidUtf8,
    EmptyInvoice,
    CreditNote,
    BadDebtAdjustment,
    UnreadableInvoice,
    UnreadableQuantity,
    StockWriteOff,
    UnreadablePrice,
    NoPrice,
    MoreThanTwoDecimals,
    EmptyStockCode,
    UnusableStockCode,
    QuantityTooLarge,
    PriceTooLarge,
    UnreadableTime,
    UnreadableCustomer,
    UnknownCountry,
    TextTooLong,
    /// Asked last, once all lines of an invoice are known.
    TooManyLines,
}

impl Rule {
    /// The reason as the rejects file writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::UnclosedQuote => "unclosed_quote",
            Self::WrongNumberOfFields => "wrong_number_of_fields",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::EmptyInvoice => "empty_invoice",
            Self::CreditNote => "credit_note",
            Self::BadDebtAdjustment => "bad_debt_adjustment",
            Self::UnreadableInvoice => "unreadable_invoice",
            Self::UnreadableQuantity => "unreadable_quantity",
            Self::StockWriteOff => "stock_write_off",
            Self::UnreadablePrice => "unreadable_price",
            Self::NoPrice => "no_price",
            Self::MoreThanTwoDecimals => "more_than_two_decimals",
            Self::EmptyStockCode => "empty_stock_code",
            Self::UnusableStockCode => "unusable_stock_code",
            Self::QuantityTooLarge => "quantity_too_large",
            Self::PriceTooLarge => "price_too_large",
            Self::UnreadableTime => "unreadable_time",
            Self::UnreadableCustomer => "unreadable_customer",
            Self::UnknownCountry => "unknown_country",
            Self::TextTooLong => "text_too_long",
            Self::TooManyLines => "too_many_lines",
        }
    }
}

/// A line that is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) rule: Rule,
    pub(super) detail: String,
}

impl Reject {
    pub(super) fn new(rule: Rule, detail: impl Into<String>) -> Self {
        Self { rule, detail: detail.into() }
    }
}

/// A line that sells something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrderLine<'r> {
    pub(super) invoice: &'r str,
    /// The invoice as the number it is sorted by.
    pub(super) number: u64,
    /// Exactly as written: codes that differ by case are different articles.
    pub(super) sku: &'r str,
    /// Without the blanks around it; may be empty.
    pub(super) name: Cow<'r, str>,
    pub(super) quantity: u32,
    pub(super) placed_at: NaiveDateTime,
    pub(super) price_pence: i64,
    /// None for a guest.
    pub(super) customer: Option<&'r str>,
    pub(super) country: &'static str,
}

/// Judges one record.
pub(super) fn order_line(record: &ByteRecord) -> Result<OrderLine<'_>, Reject> {
    let fields = texts(record)?;
    let [
        invoice,
        sku,
        description,
        quantity,
        time,
        price,
        customer,
        country,
    ] = fields;

    let number = invoice_number(invoice)?;
    let quantity = positive_quantity(quantity)?;
    let price_pence = pence::parse(price).map_err(|reason| not_a_price(reason, price))?;

    check_sku(sku)?;
    if QUANTITY_MAX < quantity {
        return Err(too_many_units(quantity));
    }
    let quantity = u32::try_from(quantity).map_err(|_| too_many_units(quantity))?;
    let placed_at = NaiveDateTime::parse_from_str(time, TIME)
        .map_err(|_| Reject::new(Rule::UnreadableTime, format!("{time:?} is no date and time")))?;
    let customer = customer_number(customer)?;
    let country = countries::code_of(country).ok_or_else(|| {
        Reject::new(Rule::UnknownCountry, format!("no code is known for {country:?}"))
    })?;
    let name = name_of(description)?;
    Ok(OrderLine {
        invoice,
        number,
        sku,
        name,
        quantity,
        placed_at,
        price_pence,
        customer,
        country,
    })
}

fn texts(record: &ByteRecord) -> Result<[&str; 8], Reject> {
    if record.len() != COLUMNS.len() {
        let detail = format!("{} fields instead of {}", record.len(), COLUMNS.len());
        return Err(Reject::new(Rule::WrongNumberOfFields, detail));
    }
    let mut texts = [""; COLUMNS.len()];
    for ((text, field), column) in texts.iter_mut().zip(record).zip(COLUMNS) {
        *text = std::str::from_utf8(field)
            .map_err(|_| Reject::new(Rule::InvalidUtf8, format!("{column} is not UTF-8")))?;
    }
    Ok(texts)
}

fn invoice_number(invoice: &str) -> Result<u64, Reject> {
    if invoice.is_empty() {
        return Err(Reject::new(Rule::EmptyInvoice, "the line belongs to no invoice"));
    }
    if invoice.starts_with('C') {
        return Err(Reject::new(Rule::CreditNote, "the invoice starts with C"));
    }
    if !invoice.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("the invoice {invoice:?} is not a number");
        return Err(Reject::new(Rule::BadDebtAdjustment, detail));
    }
    let unreadable = || {
        let detail = format!("an invoice has at most {INVOICE_DIGITS_MAX} digits");
        Reject::new(Rule::UnreadableInvoice, detail)
    };
    if INVOICE_DIGITS_MAX < invoice.len() {
        return Err(unreadable());
    }
    invoice.parse().map_err(|_| unreadable())
}

fn positive_quantity(text: &str) -> Result<i64, Reject> {
    let write_off = || Reject::new(Rule::StockWriteOff, format!("the quantity is {text}"));
    match text.parse::<i64>() {
        Ok(quantity) if quantity <= 0 => Err(write_off()),
        Ok(quantity) => Ok(quantity),
        Err(error) => match error.kind() {
            // Whatever the digits, the later rule for large quantities is the one that applies.
            IntErrorKind::PosOverflow => Ok(i64::MAX),
            IntErrorKind::NegOverflow => Err(write_off()),
            _ => {
                let detail = format!("the quantity {text:?} is not a whole number");
                Err(Reject::new(Rule::UnreadableQuantity, detail))
            }
        },
    }
}

fn not_a_price(reason: NotAPrice, text: &str) -> Reject {
    let (rule, what) = match reason {
        NotAPrice::Unreadable => (Rule::UnreadablePrice, "is not a decimal number"),
        NotAPrice::NotPositive => (Rule::NoPrice, "is not above zero"),
        NotAPrice::MoreThanTwoDecimals => {
            (Rule::MoreThanTwoDecimals, "is finer than a penny, and is not rounded")
        }
        NotAPrice::TooLarge => (Rule::PriceTooLarge, "is more than a price may be"),
    };
    Reject::new(rule, format!("the unit price {text:?} {what}"))
}

fn check_sku(sku: &str) -> Result<(), Reject> {
    if sku.is_empty() {
        return Err(Reject::new(Rule::EmptyStockCode, "the line names no article"));
    }
    let unusable = |why: &str| Err(Reject::new(Rule::UnusableStockCode, why));
    if SKU_CHARS_MAX < sku.chars().count() {
        return unusable(&format!("a stock code has at most {SKU_CHARS_MAX} characters"));
    }
    if sku.trim() != sku || sku.chars().any(char::is_control) {
        return unusable("a stock code has no blank at either end and no control character");
    }
    if sku == "." || sku == ".." {
        // A URL takes such a path segment for a direction, in whatever way it is encoded.
        return unusable("a stock code of dots has no address");
    }
    Ok(())
}

fn too_many_units(quantity: i64) -> Reject {
    let detail = format!("{quantity} units, and a line has at most {QUANTITY_MAX}");
    Reject::new(Rule::QuantityTooLarge, detail)
}

/// The file writes numbers of customers as `17850.0`.
fn customer_number(text: &str) -> Result<Option<&str>, Reject> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.strip_suffix(".0").unwrap_or(text);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || CUSTOMER_DIGITS_MAX < number.len() {
        let detail = format!("{text:?} is no customer number");
        return Err(Reject::new(Rule::UnreadableCustomer, detail));
    }
    Ok(Some(number))
}

fn name_of(description: &str) -> Result<Cow<'_, str>, Reject> {
    let name = description.trim();
    if NAME_CHARS_MAX < name.chars().count() {
        let detail = format!("a description has at most {NAME_CHARS_MAX} characters");
        return Err(Reject::new(Rule::TextTooLong, detail));
    }
    // A quoted description may hold a line break, which no label can show.
    if name.chars().any(char::is_control) {
        return Ok(name.replace(char::is_control, " ").into());
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 8] = [
        "536365",
        "85123a",
        " MUG ",
        "6",
        "2010-12-01 08:26:00",
        "2.5",
        "17850.0",
        "EIRE",
    ];

    fn with(changes: &[(usize, &str)]) -> ByteRecord {
        let mut fields = GOOD;
        for (column, text) in changes {
            fields[*column] = text;
        }
        ByteRecord::from(fields.to_vec())
    }

    fn rule_for(changes: &[(usize, &str)]) -> Rule {
        order_line(&with(changes)).unwrap_err().rule
    }

    #[test]
    fn an_order_line_is_read_exactly() {
        let record = with(&[]);

        let line = order_line(&record).unwrap();

        assert_eq!((line.invoice, line.number, line.sku), ("536365", 536_365, "85123a"));
        assert_eq!((line.name.as_ref(), line.quantity, line.price_pence), ("MUG", 6, 250));
        assert_eq!((line.customer, line.country), (Some("17850"), "IE"));
        assert_eq!(line.placed_at.to_string(), "2010-12-01 08:26:00");
    }

    #[test]
    fn a_line_without_customer_is_a_guests() {
        assert_eq!(order_line(&with(&[(6, "")])).unwrap().customer, None);
    }

    #[test]
    fn each_rule_has_its_own_reason() {
        let long = "x".repeat(201);
        let cases: [(usize, &str, Rule); 22] = [
            (0, "", Rule::EmptyInvoice),
            (0, "C536365", Rule::CreditNote),
            (0, "A563185", Rule::BadDebtAdjustment),
            (0, "1234567890123456789", Rule::UnreadableInvoice),
            (3, "six", Rule::UnreadableQuantity),
            (3, "6.0", Rule::UnreadableQuantity),
            (3, "0", Rule::StockWriteOff),
            (3, "-6", Rule::StockWriteOff),
            (3, "1000001", Rule::QuantityTooLarge),
            (3, "99999999999999999999", Rule::QuantityTooLarge),
            (5, "1e3", Rule::UnreadablePrice),
            (5, "0.0", Rule::NoPrice),
            (5, "-1.0", Rule::NoPrice),
            (5, "0.001", Rule::MoreThanTwoDecimals),
            (5, "99999999999.00", Rule::PriceTooLarge),
            (1, "", Rule::EmptyStockCode),
            (1, " 22197", Rule::UnusableStockCode),
            (1, "..", Rule::UnusableStockCode),
            (4, "01/12/2010 08:26", Rule::UnreadableTime),
            (6, "Smith", Rule::UnreadableCustomer),
            (7, "Atlantis", Rule::UnknownCountry),
            (2, &long, Rule::TextTooLong),
        ];
        for (column, text, rule) in cases {
            assert_eq!(rule_for(&[(column, text)]), rule, "{text:?}");
        }
    }

    #[test]
    fn when_several_rules_apply_the_first_is_the_reason() {
        let (quantity, price, time) = ((3, "-1"), (5, "0.0"), (4, "?"));

        assert_eq!(rule_for(&[(0, "C1"), quantity, price]), Rule::CreditNote);
        assert_eq!(rule_for(&[(0, "A1"), quantity, price]), Rule::BadDebtAdjustment);
        assert_eq!(rule_for(&[quantity, price, time]), Rule::StockWriteOff);
        assert_eq!(rule_for(&[price, time]), Rule::NoPrice);
        assert_eq!(rule_for(&[(5, "0.001"), time]), Rule::MoreThanTwoDecimals);
    }

    #[test]
    fn broken_records_are_told_apart() {
        let short = ByteRecord::from(vec!["1", "2"]);
        let mut latin: Vec<&[u8]> = GOOD.iter().map(|field| field.as_bytes()).collect();
        latin[2] = b"caf\xe9";

        assert_eq!(order_line(&short).unwrap_err().rule, Rule::WrongNumberOfFields);
        assert_eq!(order_line(&ByteRecord::from(latin)).unwrap_err().rule, Rule::InvalidUtf8);
    }

    #[test]
    fn bounds_themselves_are_allowed() {
        assert_eq!(order_line(&with(&[(3, "1000000")])).unwrap().quantity, 1_000_000);
        assert!(order_line(&with(&[(1, &"x".repeat(64))])).is_ok());
        assert_eq!(order_line(&with(&[(2, "two\nlines")])).unwrap().name, "two lines");
    }
}
