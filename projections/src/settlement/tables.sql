-- What moved at a provider on a day, in a currency. What is pending is a change: the sum of all
-- days up to one is what was pending at its end.
create table settlement_days (
    day date not null,
    gateway text collate "C" not null,
    currency text collate "C" not null,
    captures bigint not null,
    captured_minor bigint not null,
    repeated bigint not null,
    repeated_minor bigint not null,
    mismatched bigint not null,
    mismatched_minor bigint not null,
    other_currency bigint not null,
    other_currency_minor bigint not null,
    unmatched bigint not null,
    unmatched_minor bigint not null,
    refunds bigint not null,
    refunded_minor bigint not null,
    chargebacks bigint not null,
    charged_back_minor bigint not null,
    pending bigint not null,
    pending_minor bigint not null,
    primary key (day, gateway, currency)
);

-- Where a payment's money is booked, for its captures and refunds, which do not say it.
create table settlement_payments (
    payment_id uuid primary key,
    -- json, not jsonb: jsonb refuses the escaped NUL that a text of the log may hold.
    payment json not null
);
