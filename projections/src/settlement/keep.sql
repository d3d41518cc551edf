insert into settlement_payments (payment_id, payment)
select unnest($1::uuid[]), unnest($2::text[])::json
on conflict (payment_id) do update
set payment = excluded.payment
