-- How long each webhook's order waited, in microseconds: from the webhook, which names its payment
-- once it has been worked on, to the payment's capture, which names its order, to the confirmation.
-- Streams are found by their primary key.
select (extract(epoch from confirmed.recorded_at - webhooks.received_at) * 1000000)::bigint
from webhooks
join events as captured
    on captured.aggregate_type = 'payment'
    and captured.aggregate_id = webhooks.payment_id::text
    and captured.event_type = 'payment.captured'
join events as confirmed
    on confirmed.aggregate_type = 'order'
    and confirmed.aggregate_id = captured.metadata ->> 'correlation_id'
    and confirmed.event_type = 'order.confirmed'
where $1 <= webhooks.received_at
