-- Days up to the last one are added up for what is pending; days before the first are then left out.
select * from (
    select
        day, gateway, currency, captures, captured_minor, repeated, repeated_minor, mismatched,
        mismatched_minor, other_currency, other_currency_minor, unmatched, unmatched_minor,
        refunds, refunded_minor, chargebacks, charged_back_minor,
        (sum(pending) over earlier)::bigint as pending,
        (sum(pending_minor) over earlier)::bigint as pending_minor
    from settlement_days
    where day <= $2 and ($3::text is null or gateway = $3)
    window earlier as (partition by gateway, currency order by day)
) as days
where $1 <= day
order by day, gateway, currency
