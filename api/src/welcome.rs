//! What a person at a desk reads first: where everything is, and three commands to try.

use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::settings::StaffToken;

/// What there is to tell.
pub(crate) struct Welcome<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) data_dir: &'a Path,
    pub(crate) token: &'a StaffToken,
    /// Whoever gave it has it already.
    pub(crate) token_was_given: bool,
}

/// Prints it to the standard output.
pub(crate) fn print(welcome: &Welcome<'_>) -> io::Result<()> {
    let mut output = io::stdout().lock();
    write!(output, "{welcome}")?;
    output.flush()
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.reachable();
        let (token, shown) = if self.token_was_given {
            ("as given", "$DAYBOOK_STAFF_TOKEN")
        } else {
            (self.token.reveal(), self.token.reveal())
        };
        let data_dir = self.data_dir.display();
        write!(
            f,
            r#"
Daybook is running; Ctrl-C stops it, and the data stays.

  address        http://{address}
  documentation  http://{address}/docs
  staff token    {token}
  data           {data_dir}

Three commands to try. Each may be repeated: the same key is told the same answer.

  1. Offer a cup, and put 100 on the shelf:

     curl -X PUT http://{address}/api/v1/products/CUP-RED \
       -H "Authorization: Bearer {shown}" \
       -H 'Idempotency-Key: try-1' -H 'Content-Type: application/json' \
       -d '{{"name": "Red cup", "active": true,
            "price": {{"amount": "4.50", "currency": "GBP"}}}}' &&
     curl -X POST http://{address}/api/v1/inventory/CUP-RED/receipts \
       -H "Authorization: Bearer {shown}" \
       -H 'Idempotency-Key: try-2' -H 'Content-Type: application/json' \
       -d '{{"quantity": 100, "reference": "delivery 1"}}'

  2. Order two of them, and wait for the payment:

     curl -X POST http://{address}/api/v1/orders -H 'Prefer: wait=10' \
       -H 'Idempotency-Key: try-3' -H 'Content-Type: application/json' \
       -d '{{"customer": {{"name": "Ada", "email": "ada@example.org"}},
            "shipping_address": {{"line1": "1 High Street", "country": "GB"}},
            "currency": "GBP", "payment_method": "credit_card",
            "items": [{{"sku": "CUP-RED", "quantity": 2}}]}}'

  3. See everything that happened to it, by the id that it was given:

     curl http://{address}/api/v1/orders/ORDER_ID/timeline \
       -H "Authorization: Bearer {shown}"

"#
        )
    }
}

impl Welcome<'_> {
    /// An address that a person can type: listening everywhere includes this machine.
    fn reachable(&self) -> String {
        if self.address.ip().is_unspecified() {
            format!("localhost:{}", self.address.port())
        } else {
            self.address.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str, token_was_given: bool) -> String {
        let token: StaffToken = "the-token".parse().unwrap();
        let data_dir = Path::new(".daybook");
        let address = address.parse().unwrap();
        Welcome { address, data_dir, token: &token, token_was_given }.to_string()
    }

    #[test]
    fn everything_is_told_that_is_needed_to_begin() {
        let told = told("127.0.0.1:8080", false);
        for needed in [
            "http://127.0.0.1:8080/docs",
            "the-token",
            "/products/CUP-RED",
            "/timeline",
        ] {
            assert!(told.contains(needed), "{needed} is missing");
        }
        assert_eq!(told.matches("curl ").count(), 4);
    }

    #[test]
    fn a_token_that_was_given_is_not_printed() {
        let told = told("0.0.0.0:9000", true);
        assert!(!told.contains("the-token"));
        assert!(told.contains("http://localhost:9000/docs"));
    }
}
