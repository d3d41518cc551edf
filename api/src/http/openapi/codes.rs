//! Which codes problems have, operation by operation: what all have in common by rule, and a row
//! for what an operation has of its own. Whoever adds a route that changes something adds a row,
//! an empty one if the rules suffice; the tests say which is missing, and what was answered that
//! no row names.

/// Codes of one operation beside those that it has by rule, by status.
pub(super) type Row = (&'static str, &'static [(u16, &'static [&'static str])]);

const ORDER_ENDED: [&str; 5] = [
    "order_already_cancelled",
    "order_already_completed",
    "order_already_confirmed",
    "order_already_failed",
    "order_already_refunded",
];

/// Why an order is not placed, however it is asked for.
const NOT_PLACED: [&str; 23] = [
    "price_changed",
    "shipping_method_missing",
    "shipping_method_unknown",
    "shipping_unavailable",
    "pickup_point_missing",
    "pickup_point_unknown",
    "pickup_point_inactive",
    "promotion_unknown",
    "promotion_not_applicable",
    "promotion_used_up",
    "promotion_needs_account",
    "unknown_address",
    "unknown_product",
    "product_inactive",
    "currency_mismatch",
    "no_exchange_rate",
    "price_not_convertible",
    "no_gateway",
    "line_count_out_of_bounds",
    "quantity_out_of_bounds",
    "amount_negative",
    "total_too_large",
    "nothing_to_pay",
];

/// Why an article is not put into a cart.
const NOT_PUT_IN: [&str; 7] = [
    "unknown_product",
    "product_inactive",
    "currency_mismatch",
    "no_exchange_rate",
    "price_not_convertible",
    "line_count_out_of_bounds",
    "quantity_out_of_bounds",
];

/// Why nobody can say what shipping would cost.
const NOT_QUOTED: [&str; 9] = [
    "promotion_unknown",
    "promotion_not_applicable",
    "promotion_used_up",
    "promotion_needs_account",
    "unknown_product",
    "product_inactive",
    "currency_mismatch",
    "no_exchange_rate",
    "price_not_convertible",
];

/// Operations in the order of their paths.
pub(super) const OF_OPERATIONS: &[Row] = &[
    ("post /api-keys", &[(409, &["too_many_api_keys"])]),
    ("delete /api-keys/{id}", &[]),
    ("post /auth/login", &[(401, &["wrong_credentials"])]),
    ("post /auth/logout", &[(401, &["invalid_token"])]),
    ("post /auth/password", &[(401, &["wrong_credentials", "invalid_token"])]),
    ("post /auth/password/forgot", &[]),
    ("post /auth/password/reset", &[(401, &["invalid_token"])]),
    ("post /auth/refresh", &[(401, &["invalid_token", "refresh_token_reused"])]),
    ("post /auth/register", &[]),
    ("post /auth/verify-email", &[(401, &["invalid_token"])]),
    ("post /auth/verify-email/mail", &[]),
    ("post /blocklist", &[(409, &["already_blocked", "too_many_blocked"])]),
    ("delete /blocklist/{id}", &[]),
    ("get /cart", &[(404, &["not_found"])]),
    ("delete /cart", &[(404, &["not_found"])]),
    ("patch /cart", &[(404, &["not_found"]), (422, &NOT_PUT_IN)]),
    (
        "post /cart/checkout",
        &[
            (403, &["staff_only_fields"]),
            (404, &["not_found"]),
            (409, &["order_already_placed", "out_of_stock"]),
            (422, &["cart_empty"]),
            (422, &NOT_PLACED),
            (503, &["gateways_away"]),
        ],
    ),
    ("post /cart/items", &[(404, &["not_found"]), (422, &NOT_PUT_IN)]),
    ("delete /cart/items/{sku}", &[]),
    ("put /cart/items/{sku}", &[(422, &NOT_PUT_IN)]),
    ("post /cart/merge", &[(404, &["not_found"])]),
    (
        "get /cart/shipping",
        &[
            (404, &["not_found"]),
            (422, &["cart_empty", "total_too_large"]),
            (422, &NOT_QUOTED),
        ],
    ),
    ("post /carts", &[]),
    ("post /catalogue/import", &[]),
    ("delete /categories/{handle}", &[(409, &["category_has_children"])]),
    (
        "put /categories/{handle}",
        &[
            (409, &["category_below_itself", "too_many_categories"]),
            (422, &["unknown_category", "categories_too_deep"]),
        ],
    ),
    ("post /customers", &[(404, &["not_found"]), (409, &["email_taken"])]),
    ("put /customers/{id}", &[(409, &["email_taken", "customer_is_a_guest"])]),
    ("delete /customers/{id}", &[(409, &["customer_is_a_guest"])]),
    (
        "delete /customers/{id}/personal-data",
        &[
            (409, &["already_forgotten", "personal_data_in_clear"]),
            (422, &["too_many_orders"]),
        ],
    ),
    ("get /events/stream", &[(503, &["overloaded"])]),
    ("put /exchange-rates/{date}", &[]),
    ("post /faq", &[(409, &["question_stands", "too_many_questions"])]),
    ("delete /faq/{id}", &[]),
    ("put /faq/{id}", &[(409, &["question_stands"])]),
    ("post /fraud-rules", &[(409, &["rule_name_taken", "too_many_rules"])]),
    ("put /fraud-rules/{id}", &[(409, &["rule_name_taken", "too_many_rules"])]),
    ("delete /fraud-rules/{id}", &[]),
    (
        "post /inventory/{sku}/adjustments",
        &[
            (403, &["vendor_not_active"]),
            (409, &["stock_below_reserved"]),
            (422, &["quantity_zero", "stock_too_large"]),
        ],
    ),
    (
        "post /inventory/{sku}/receipts",
        &[(403, &["vendor_not_active"]), (422, &["stock_too_large"])],
    ),
    ("delete /listings/{handle}", &[]),
    (
        "put /listings/{handle}",
        &[
            (403, &["vendor_not_active", "staff_only_fields"]),
            (409, &["sku_listed_elsewhere"]),
            (
                422,
                &[
                    "title_missing",
                    "listing_too_large",
                    "sku_named_twice",
                    "option_named_twice",
                    "options_differ",
                    "variants_alike",
                    "unknown_category",
                    "unknown_vendor",
                    "product_of_another",
                ],
            ),
        ],
    ),
    ("get /log/consistency", &[(404, &["not_found"]), (503, &["not_sealed_yet"])]),
    ("get /log/head", &[(404, &["not_found"]), (503, &["not_sealed_yet"])]),
    ("get /log/proof/{position}", &[(503, &["not_sealed_yet"])]),
    (
        "post /orders",
        &[
            (403, &["staff_only_fields"]),
            (409, &["out_of_stock"]),
            (422, &NOT_PLACED),
            (503, &["gateways_away"]),
        ],
    ),
    (
        "post /orders/{id}/cancel",
        &[
            (409, &ORDER_ENDED),
            (409, &["refund_exists", "order_already_shipped"]),
        ],
    ),
    (
        "post /orders/{id}/complete",
        &[
            (409, &ORDER_ENDED),
            (
                409,
                &[
                    "order_still_pending",
                    "order_not_paid",
                    "order_being_refunded",
                    "order_not_shipped",
                ],
            ),
        ],
    ),
    (
        "post /orders/{id}/payments",
        &[
            (
                409,
                &[
                    "payment_not_open",
                    "payment_already_captured",
                    "payment_already_voided",
                    "payment_attempt_awaited",
                    "reference_used",
                    "too_many_attempts",
                    "payment_too_late",
                ],
            ),
            (422, &["no_gateway"]),
            (503, &["gateways_away"]),
        ],
    ),
    (
        "post /orders/{id}/refunds",
        &[
            (409, &ORDER_ENDED),
            (
                409,
                &[
                    "order_not_paid",
                    "order_still_pending",
                    "nothing_to_refund",
                    "refund_exists",
                ],
            ),
            (
                422,
                &[
                    "currency_mismatch",
                    "refund_not_positive",
                    "refund_too_large",
                    "sku_not_ordered",
                    "sku_named_twice",
                    "too_many_pieces",
                ],
            ),
        ],
    ),
    ("post /orders/{id}/review", &[(409, &ORDER_ENDED), (409, &["order_not_held"])]),
    (
        "post /orders/{id}/shipments",
        &[
            (409, &ORDER_ENDED),
            (
                409,
                &[
                    "order_still_pending",
                    "order_not_paid",
                    "order_being_refunded",
                    "line_refunded",
                    "order_not_shipped",
                ],
            ),
            (422, &["no_such_line"]),
        ],
    ),
    ("get /orders/{id}/timeline", &[(503, &["not_sealed_yet"])]),
    (
        "post /payments/{id}/payout",
        &[
            (409, &["refund_not_pending"]),
            (409, &["refund_not_by_hand"]),
            (422, &["amount_differs", "currency_mismatch"]),
        ],
    ),
    (
        "post /payments/{id}/receipt",
        &[
            (
                409,
                &[
                    "payment_not_open",
                    "payment_already_captured",
                    "payment_already_voided",
                    "payment_attempt_awaited",
                    "reference_used",
                    "too_many_attempts",
                    "payment_too_late",
                ],
            ),
            (409, &["payment_not_by_hand"]),
            (422, &["amount_differs", "currency_mismatch"]),
        ],
    ),
    (
        "put /products/{sku}",
        &[
            (403, &["vendor_not_active", "staff_only_fields"]),
            (
                422,
                &[
                    "price_not_positive",
                    "two_prices",
                    "too_many_prices",
                    "weight_out_of_bounds",
                    "unknown_vendor",
                ],
            ),
        ],
    ),
    ("get /profile", &[(404, &["not_found"])]),
    ("put /profile", &[(404, &["not_found"])]),
    ("patch /profile", &[(404, &["not_found"])]),
    ("post /profile/addresses", &[(409, &["address_stands", "too_many_addresses"])]),
    ("delete /profile/addresses/{id}", &[]),
    ("put /profile/addresses/{id}", &[(409, &["address_stands"])]),
    ("delete /profile/reviews/{sku}", &[]),
    ("put /profile/reviews/{sku}", &[(409, &["product_not_bought"])]),
    (
        "post /projections/{name}/rebuild",
        &[(409, &["already_rebuilding"]), (422, &["not_in_the_log"])],
    ),
    ("post /projections/{name}/rebuild/cancel", &[(409, &["not_rebuilding"])]),
    ("post /projections/{name}/rebuild/pause", &[(409, &["not_rebuilding"])]),
    (
        "post /projections/{name}/rebuild/resume",
        &[(409, &["already_rebuilding", "not_rebuilding"])],
    ),
    (
        "delete /projections/{name}/replay",
        &[(409, &["already_rebuilding", "not_rebuilding"])],
    ),
    ("get /projections/{name}/rows", &[(503, &["overloaded"])]),
    (
        "put /promotions/{code}",
        &[
            (
                422,
                &[
                    "percentage_out_of_bounds",
                    "amount_not_positive",
                    "two_amounts",
                    "amount_count_out_of_bounds",
                    "too_many_skus",
                    "promotion_ends_before_it_starts",
                    "uses_out_of_bounds",
                    "too_many_to_remember",
                ],
            ),
            (409, &["too_many_promotions"]),
        ],
    ),
    (
        "post /reconciliations",
        &[
            (404, &["not_found"]),
            (409, &["already_reconciling"]),
            (422, &["statement_needed", "invalid_statement"]),
        ],
    ),
    ("post /reviews/{id}/moderation", &[(409, &["review_rewritten"])]),
    ("post /routing-rules", &[(409, &["priority_taken", "too_many_rules"])]),
    ("put /routing-rules/{id}", &[(409, &["priority_taken", "too_many_rules"])]),
    ("delete /routing-rules/{id}", &[]),
    (
        "put /shipping/methods/{handle}",
        &[
            (409, &["too_many_shipping_methods"]),
            (
                422,
                &[
                    "pickup_point_count_out_of_bounds",
                    "pickup_point_unknown",
                    "too_many_countries",
                    "days_out_of_bounds",
                    "rate_count_out_of_bounds",
                    "two_rates",
                    "rate_out_of_bounds",
                    "rate_band_empty",
                    "rate_bands_overlap",
                ],
            ),
        ],
    ),
    ("put /shipping/pickup-points/{handle}", &[(409, &["too_many_pickup_points"])]),
    ("post /shipping/quotes", &[(422, &["total_too_large"]), (422, &NOT_QUOTED)]),
    ("post /tickets", &[(404, &["not_found"]), (409, &["too_many_tickets"])]),
    ("post /tickets/{id}/close", &[]),
    ("post /tickets/{id}/messages", &[(409, &["ticket_full"])]),
    (
        "post /vendors",
        &[
            (403, &["staff_only_fields"]),
            (409, &["vendor_already_registered"]),
        ],
    ),
    ("get /vendors/me", &[(404, &["not_found"])]),
    ("put /vendors/me", &[(404, &["not_found"])]),
    ("get /vendors/me/orders", &[(404, &["not_found"])]),
    ("post /vendors/{id}/activate", &[(409, &["vendor_without_account"])]),
    ("post /vendors/{id}/deactivate", &[]),
    (
        "post /webhooks/{id}/refund",
        &[
            (
                409,
                &[
                    "webhook_not_worked_on",
                    "payment_provider_off",
                    "webhook_resolved",
                    "webhook_without_money",
                    "money_is_ours",
                    "money_not_found",
                    "money_not_captured",
                    "money_being_refunded",
                    "money_already_refunded",
                    "payment_already_open",
                    "refund_exists",
                ],
            ),
            (422, &["refund_too_large"]),
            (503, &["payment_provider_silent"]),
        ],
    ),
    (
        "post /webhooks/{id}/resolve",
        &[(
            409,
            &[
                "webhook_not_worked_on",
                "webhook_not_parked",
                "webhook_resolved",
            ],
        )],
    ),
    (
        "post /webhooks/{id}/retry",
        &[(
            409,
            &[
                "webhook_not_worked_on",
                "webhook_not_parked",
                "webhook_not_repeatable",
            ],
        )],
    ),
    (
        "post /webhooks/{name}",
        &[
            (400, &["webhook_signature_unreadable"]),
            (401, &["webhook_signature_wrong"]),
        ],
    ),
    (
        "put /webhooks/{name}",
        &[
            (400, &["webhook_signature_unreadable"]),
            (401, &["webhook_signature_wrong"]),
        ],
    ),
    (
        "post /wishlists",
        &[
            (404, &["not_found"]),
            (409, &["too_many_wishlists", "wishlist_name_taken"]),
        ],
    ),
    ("delete /wishlists/{id}", &[]),
    ("put /wishlists/{id}", &[(409, &["wishlist_name_taken"])]),
    ("delete /wishlists/{id}/items/{sku}", &[]),
    (
        "put /wishlists/{id}/items/{sku}",
        &[(409, &["wishlist_full"]), (422, &["unknown_product"])],
    ),
    ("delete /wishlists/{id}/share", &[]),
    ("post /wishlists/{id}/share", &[]),
];

/// What is common to operations of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'a> {
    pub(super) method: &'a str,
    /// Without the base.
    pub(super) path: &'a str,
    /// Changes the log, under an `Idempotency-Key`.
    pub(super) is_command: bool,
    /// For some roles alone.
    pub(super) is_closed: bool,
    /// Has a body that its handler reads.
    pub(super) has_body: bool,
}

impl Kind<'_> {
    fn is_change(&self) -> bool {
        self.method != "get"
    }

    /// The operation's own row, if there is one.
    pub(super) fn row(&self) -> Option<&'static Row> {
        let name = format!("{} {}", self.method, self.path);
        OF_OPERATIONS.iter().find(|(of, _)| *of == name)
    }

    /// Every code that a problem with this status may have; none where there is no such answer.
    pub(super) fn codes(&self, status: u16) -> Vec<&'static str> {
        let mut codes = self.by_rule(status);
        let own = self.row().map_or(&[][..], |(_, own)| own);
        let own = own.iter().filter(|(of, _)| *of == status);
        codes.extend(own.flat_map(|(_, codes)| codes.iter().copied()));
        codes
    }

    fn by_rule(&self, status: u16) -> Vec<&'static str> {
        let (change, command, closed, body) =
            (self.is_change(), self.is_command, self.is_closed, self.has_body);
        let reads_json = command || body && !self.path.starts_with("/webhooks/{name}");
        let holds_for = |rows: &[(bool, &'static str)]| -> Vec<&'static str> {
            let rows = rows.iter().filter(|(holds, _)| *holds);
            rows.map(|(_, code)| *code).collect()
        };
        match status {
            400 => holds_for(&[
                (true, "invalid_parameters"),
                (true, "invalid_header"),
                (reads_json, "malformed_json"),
                (command, "idempotency_key_missing"),
            ]),
            401 => holds_for(&[(closed || command, "unauthenticated")]),
            403 => holds_for(&[(closed, "forbidden")]),
            404 => holds_for(&[(self.path.contains('{'), "not_found")]),
            409 => holds_for(&[(command, "conflict")]),
            412 => holds_for(&[(command, "version_mismatch")]),
            413 => holds_for(&[(change && (command || body), "body_too_large")]),
            415 => holds_for(&[(reads_json, "unsupported_media_type")]),
            422 => holds_for(&[
                (reads_json, "invalid_fields"),
                (command, "idempotency_key_reused"),
            ]),
            429 => holds_for(&[
                (true, "too_many_requests"),
                (self.path.starts_with("/auth/"), "too_many_attempts"),
            ]),
            500 => holds_for(&[(true, "internal")]),
            503 => holds_for(&[
                (true, "unavailable"),
                (true, "timeout"),
                (change, "overloaded"),
                (command, "still_running"),
                (!change, "read_model_behind"),
            ]),
            _ => vec![],
        }
    }
}
