-- Each order once: the mark keeps it from being inserted twice, so a conflict is a mistake and must
-- show.
insert into guest_orders (
    order_id, position, email_key, name, email, phone, country, placed_at
)
select
    unnest($1::uuid[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::text[]),
    unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), unnest($8::timestamptz[])
