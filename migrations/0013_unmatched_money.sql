-- Money that nobody asked for can be given back: a webhook says under which payment, and what has
-- become of it. The truth about it is that payment's stream in the log; what stands here follows it.
alter table webhooks
    -- The payment that takes the money down and gives it back.
    add column unmatched_payment_id uuid,
    -- What came in, as the provider says when it is asked.
    add column received_minor bigint,
    add column received_currency text,
    -- Why the last refund failed.
    add column refund_failure text,
    drop constraint webhooks_state,
    add constraint webhooks_state
        check (state in ('received', 'done', 'parked', 'refunding', 'refunded', 'failed'));

create index webhooks_being_refunded on webhooks (webhook_id)
    where unmatched_payment_id is not null and state <> 'refunded';
