-- Records grow by what is added: who they are comes from the newest order, what they are called by
-- us from the first. Counting anew would read all orders of whoever orders most.
insert into guests (
    email_key, guest_id, name, email, phone, country, orders, created_at, updated_at
)
select
    unnest($1::text[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]),
    unnest($5::text[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::timestamptz[]),
    unnest($9::timestamptz[])
on conflict (email_key) do update
set
    name = excluded.name,
    email = excluded.email,
    phone = excluded.phone,
    country = excluded.country,
    orders = guests.orders + excluded.orders,
    updated_at = excluded.updated_at
