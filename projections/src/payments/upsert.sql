insert into payments (payment_id, opened_at, version, updated_at, payment)
select
    unnest($1::uuid[]), unnest($2::timestamptz[]), unnest($3::bigint[]), unnest($4::timestamptz[]),
    unnest($5::text[])::json
on conflict (payment_id) do update
set
    version = excluded.version,
    updated_at = excluded.updated_at,
    payment = excluded.payment
