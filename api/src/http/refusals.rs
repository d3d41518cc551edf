//! What each refusal of the business is over HTTP: its status and its stable code. One row per
//! refusal; the sentence is the refusal's own.

use axum::http::StatusCode;
use domain::{
    categories, delivery, inventory, listing, order, payment, product, promotion, vendor,
};
use workers::routing::RuleError;

use super::problem::Problem;

const GONE: StatusCode = StatusCode::NOT_FOUND;
const STATE: StatusCode = StatusCode::CONFLICT;
const REFUSED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

impl From<&order::Refusal> for Problem {
    fn from(refusal: &order::Refusal) -> Self {
        use order::Refusal as R;

        let (status, code) = match refusal {
            R::NotPlaced | R::NoLinesOfVendor => (GONE, "not_found"),
            R::AlreadyPlaced => (STATE, "order_already_placed"),
            R::StillPending => (STATE, "order_still_pending"),
            R::NotPaid => (STATE, "order_not_paid"),
            R::AlreadyProcessing => (STATE, "order_already_processing"),
            R::AlreadyConfirmed => (STATE, "order_already_confirmed"),
            R::AlreadyCompleted => (STATE, "order_already_completed"),
            R::AlreadyCancelled => (STATE, "order_already_cancelled"),
            R::AlreadyFailed => (STATE, "order_already_failed"),
            R::BeingRefunded => (STATE, "order_being_refunded"),
            R::HeldForReview => (STATE, "order_held"),
            R::NotHeld => (STATE, "order_not_held"),
            R::NoSuchLine { .. } => (REFUSED, "no_such_line"),
            R::LineRefunded { .. } => (STATE, "line_refunded"),
            R::NotShipped { .. } => (STATE, "order_not_shipped"),
            R::AlreadyShipped => (STATE, "order_already_shipped"),
            R::AlreadyRefunded => (STATE, "order_already_refunded"),
            R::LineCount { .. } => (REFUSED, "line_count_out_of_bounds"),
            R::Quantity { .. } => (REFUSED, "quantity_out_of_bounds"),
            R::NegativeAmount => (REFUSED, "amount_negative"),
            R::TotalTooLarge => (REFUSED, "total_too_large"),
            R::NothingToPay => (REFUSED, "nothing_to_pay"),
            R::DiscountDoesNotAddUp => (REFUSED, "discount_wrong"),
            R::CaptureMismatch { .. } => (REFUSED, "capture_mismatch"),
            R::RefundExists => (STATE, "refund_exists"),
            R::NoSuchRefund => (STATE, "refund_not_pending"),
            R::NothingToRefund | R::NoShippingToRefund => (STATE, "nothing_to_refund"),
            R::RefundNotPositive => (REFUSED, "refund_not_positive"),
            R::NotOrdered { .. } => (REFUSED, "sku_not_ordered"),
            R::PiecesTwice { .. } => (REFUSED, "sku_named_twice"),
            R::TooManyPieces { .. } => (REFUSED, "too_many_pieces"),
            R::RefundTooLarge { .. } => (REFUSED, "refund_too_large"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&payment::Refusal> for Problem {
    fn from(refusal: &payment::Refusal) -> Self {
        use payment::Refusal as R;

        let (status, code) = match refusal {
            R::NotOpen => (STATE, "payment_not_open"),
            R::AlreadyOpen => (STATE, "payment_already_open"),
            R::AlreadyCaptured => (STATE, "payment_already_captured"),
            R::AlreadyVoided => (STATE, "payment_already_voided"),
            R::AttemptAwaited { .. } => (STATE, "payment_attempt_awaited"),
            R::ReferenceUsed { .. } => (STATE, "reference_used"),
            R::TooManyAttempts => (STATE, "too_many_attempts"),
            R::TooLate => (STATE, "payment_too_late"),
            R::UnknownAttempt { .. } => (GONE, "unknown_attempt"),
            R::RefundExists => (STATE, "refund_exists"),
            R::NoSuchRefund => (STATE, "refund_not_pending"),
            R::BeingGivenBack => (STATE, "money_being_refunded"),
            R::GivenBack => (STATE, "money_already_refunded"),
            R::NothingCameIn => (STATE, "money_not_captured"),
            R::RefundTooLarge { .. } => (REFUSED, "refund_too_large"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&inventory::Refusal> for Problem {
    fn from(refusal: &inventory::Refusal) -> Self {
        use inventory::Refusal as R;

        let (status, code) = match refusal {
            R::ZeroQuantity => (REFUSED, "quantity_zero"),
            R::AlreadyReserved => (STATE, "stock_already_reserved"),
            R::NotReserved => (STATE, "stock_not_reserved"),
            R::InsufficientStock { .. } => (STATE, "insufficient_stock"),
            R::BelowReserved { .. } => (STATE, "stock_below_reserved"),
            R::TooMuch => (REFUSED, "stock_too_large"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&product::Refusal> for Problem {
    fn from(refusal: &product::Refusal) -> Self {
        use product::Refusal as R;

        let (status, code) = match refusal {
            R::NotDescribed => (REFUSED, "product_not_described"),
            R::NotTheirs => (GONE, "not_found"),
            R::PriceNotPositive => (REFUSED, "price_not_positive"),
            R::TwoPrices { .. } => (REFUSED, "two_prices"),
            R::TooManyPrices { .. } => (REFUSED, "too_many_prices"),
            R::WeightOutOfBounds => (REFUSED, "weight_out_of_bounds"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&listing::Refusal> for Problem {
    fn from(refusal: &listing::Refusal) -> Self {
        use listing::Refusal as R;

        let (status, code) = match refusal {
            R::NotListed | R::NotTheirs => (GONE, "not_found"),
            R::TitleMissing => (REFUSED, "title_missing"),
            R::TooMany { .. } => (REFUSED, "listing_too_large"),
            R::SkuTwice { .. } => (REFUSED, "sku_named_twice"),
            R::OptionTwice { .. } => (REFUSED, "option_named_twice"),
            R::OptionsDiffer { .. } => (REFUSED, "options_differ"),
            R::NotToldApart { .. } => (REFUSED, "variants_alike"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&categories::Refusal> for Problem {
    fn from(refusal: &categories::Refusal) -> Self {
        use categories::Refusal as R;

        let (status, code) = match refusal {
            R::NotThere => (GONE, "not_found"),
            R::NoSuchParent { .. } => (REFUSED, "unknown_category"),
            R::BelowItself { .. } => (STATE, "category_below_itself"),
            R::TooDeep { .. } => (REFUSED, "categories_too_deep"),
            R::TooMany => (STATE, "too_many_categories"),
            R::HasChildren { .. } => (STATE, "category_has_children"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&vendor::Refusal> for Problem {
    fn from(refusal: &vendor::Refusal) -> Self {
        use vendor::Refusal as R;

        let (status, code) = match refusal {
            R::NotRegistered => (GONE, "not_found"),
            R::AlreadyRegistered => (STATE, "vendor_already_registered"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&promotion::Refusal> for Problem {
    fn from(refusal: &promotion::Refusal) -> Self {
        use promotion::Refusal as R;

        let (status, code) = match refusal {
            R::Unknown => (GONE, "not_found"),
            R::AlreadyReserved => (STATE, "promotion_already_reserved"),
            R::NotReserved => (STATE, "promotion_not_reserved"),
            R::UsedUp | R::UsedUpByCustomer => (STATE, "promotion_used_up"),
            R::SignIn => (STATE, "promotion_needs_account"),
            R::PercentageOutOfBounds => (REFUSED, "percentage_out_of_bounds"),
            R::AmountNotPositive => (REFUSED, "amount_not_positive"),
            R::TwoAmounts { .. } => (REFUSED, "two_amounts"),
            R::AmountCount { .. } => (REFUSED, "amount_count_out_of_bounds"),
            R::TooManySkus { .. } => (REFUSED, "too_many_skus"),
            R::EndsBeforeItStarts => (REFUSED, "promotion_ends_before_it_starts"),
            R::UsesOutOfBounds => (REFUSED, "uses_out_of_bounds"),
            R::TooManyToRemember => (REFUSED, "too_many_to_remember"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<&delivery::Refusal> for Problem {
    fn from(refusal: &delivery::Refusal) -> Self {
        use delivery::Refusal as R;

        let (status, code) = match refusal {
            R::TooManyMethods => (STATE, "too_many_shipping_methods"),
            R::TooManyPoints => (STATE, "too_many_pickup_points"),
            R::PointCount { .. } => (REFUSED, "pickup_point_count_out_of_bounds"),
            R::UnknownPoint { .. } => (REFUSED, "pickup_point_unknown"),
            R::TooManyCountries { .. } => (REFUSED, "too_many_countries"),
            R::DaysOutOfBounds => (REFUSED, "days_out_of_bounds"),
            R::TableCount { .. } | R::BandCount => (REFUSED, "rate_count_out_of_bounds"),
            R::TwoTables { .. } => (REFUSED, "two_rates"),
            R::PriceOutOfBounds { .. } | R::FreeFromOutOfBounds { .. } => {
                (REFUSED, "rate_out_of_bounds")
            }
            R::EmptyBand { .. } => (REFUSED, "rate_band_empty"),
            R::BandsOverlap { .. } => (REFUSED, "rate_bands_overlap"),
        };
        Self::new(status, code, sentence(refusal))
    }
}

impl From<accounts::Error> for Problem {
    fn from(error: accounts::Error) -> Self {
        use accounts::Error as E;

        match &error {
            E::WrongPassword => Self::not_let_in("wrong_credentials", &error),
            E::BadToken => Self::not_let_in("invalid_token", &error),
            E::TokenReused => Self::not_let_in("refresh_token_reused", &error),
            E::TooManyAttempts { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", sentence(&error))
                    .after(*retry_after)
            }
            E::EmailTaken => Self::new(STATE, "email_taken", sentence(&error)),
            E::TooManyKeys => Self::new(STATE, "too_many_api_keys", sentence(&error)),
            E::NoSuchAccount => Self::not_found("account"),
            E::Overloaded => Self::overloaded("too many passwords are being checked; try again"),
            E::Database(cause) => Self::accident("ask for an account", cause),
            E::Broken(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "accounts are broken");
                Self::internal()
            }
        }
    }
}

impl From<workers::fraud::Error> for Problem {
    fn from(error: workers::fraud::Error) -> Self {
        use workers::fraud::Error as E;

        match &error {
            E::NameTaken => Self::new(STATE, "rule_name_taken", sentence(&error)),
            E::TooManyRules => Self::new(STATE, "too_many_rules", sentence(&error)),
            E::AlreadyBlocked => Self::new(STATE, "already_blocked", sentence(&error)),
            E::TooManyEntries => Self::new(STATE, "too_many_blocked", sentence(&error)),
            E::Database(cause) => Self::accident("ask for fraud rules", cause),
        }
    }
}

impl From<RuleError> for Problem {
    fn from(error: RuleError) -> Self {
        match &error {
            RuleError::PriorityTaken(_) => Self::new(STATE, "priority_taken", sentence(&error)),
            RuleError::TooMany => Self::new(STATE, "too_many_rules", sentence(&error)),
            RuleError::Database(cause) => Self::accident("write a rule of routing", cause),
        }
    }
}

fn sentence(refusal: &impl std::error::Error) -> String {
    refusal.to_string()
}

#[cfg(test)]
mod tests {
    use domain::order::Refusal;

    use super::*;

    #[test]
    fn a_refusal_keeps_its_sentence() {
        let problem = Problem::from(&Refusal::NotPaid);
        assert_eq!(problem.status(), StatusCode::CONFLICT);
        assert!(format!("{problem:?}").contains("the order is not paid yet"));
    }
}
