-- What providers say may tell who paid, and is of use until it has been worked off and any dispute
-- about it settled: after that the body is emptied. Found without reading those that are empty.
create index webhooks_with_body on webhooks (worked_at) where state <> 'received' and body <> '';
-- Those about a payment whose customer is forgotten.
create index webhooks_by_payment on webhooks (payment_id) where payment_id is not null;
