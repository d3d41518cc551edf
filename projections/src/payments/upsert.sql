insert into payments (
    payment_id, opened_at, version, updated_at, payment, order_id, status, gateway, method
)
select
    unnest($1::uuid[]), unnest($2::timestamptz[]), unnest($3::bigint[]), unnest($4::timestamptz[]),
    unnest($5::text[])::json, unnest($6::uuid[]), unnest($7::text[]), unnest($8::text[]),
    unnest($9::text[])
on conflict (payment_id) do update
set
    version = excluded.version,
    updated_at = excluded.updated_at,
    payment = excluded.payment,
    status = excluded.status,
    gateway = excluded.gateway,
    method = excluded.method
