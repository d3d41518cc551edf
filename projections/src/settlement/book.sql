insert into settlement_days (
    day, gateway, currency, captures, captured_minor, repeated, repeated_minor, mismatched,
    mismatched_minor, other_currency, other_currency_minor, unmatched, unmatched_minor, refunds,
    refunded_minor, chargebacks, charged_back_minor, pending, pending_minor
)
select
    unnest($1::date[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]),
    unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[]),
    unnest($9::bigint[]), unnest($10::bigint[]), unnest($11::bigint[]), unnest($12::bigint[]),
    unnest($13::bigint[]), unnest($14::bigint[]), unnest($15::bigint[]), unnest($16::bigint[]),
    unnest($17::bigint[]), unnest($18::bigint[]), unnest($19::bigint[])
on conflict (day, gateway, currency) do update
set
    captures = settlement_days.captures + excluded.captures,
    captured_minor = settlement_days.captured_minor + excluded.captured_minor,
    repeated = settlement_days.repeated + excluded.repeated,
    repeated_minor = settlement_days.repeated_minor + excluded.repeated_minor,
    mismatched = settlement_days.mismatched + excluded.mismatched,
    mismatched_minor = settlement_days.mismatched_minor + excluded.mismatched_minor,
    other_currency = settlement_days.other_currency + excluded.other_currency,
    other_currency_minor = settlement_days.other_currency_minor + excluded.other_currency_minor,
    unmatched = settlement_days.unmatched + excluded.unmatched,
    unmatched_minor = settlement_days.unmatched_minor + excluded.unmatched_minor,
    refunds = settlement_days.refunds + excluded.refunds,
    refunded_minor = settlement_days.refunded_minor + excluded.refunded_minor,
    chargebacks = settlement_days.chargebacks + excluded.chargebacks,
    charged_back_minor = settlement_days.charged_back_minor + excluded.charged_back_minor,
    pending = settlement_days.pending + excluded.pending,
    pending_minor = settlement_days.pending_minor + excluded.pending_minor
