-- Staff close what they have settled by other means, and have worked off again whatever was parked for
-- a cause that is mended by now. Who did so, when and why stays with the webhook.
alter table webhooks
    add column resolved_by text,
    add column resolved_at timestamptz,
    -- Why, in staff's own words.
    add column resolution text,
    -- Under which commands: a repetition finds that it is done.
    add column resolved_under uuid,
    add column retried_under uuid,
    -- Tries before the last time that staff had it worked off again; those that count came after.
    add column tries_before integer not null default 0,
    -- Parked here, without a provider's word that could be worked off again.
    add column made_here boolean not null default false,
    drop constraint webhooks_state,
    add constraint webhooks_state check (state in (
        'received', 'done', 'parked', 'refunding', 'refunded', 'failed', 'resolved'));

-- What reconciliation and the log have parked so far: their events are named by us.
update webhooks set made_here = true
where state <> 'received' and (event_key like 'listed %' or event_key like 'not counted %');

-- Reconciliation asks by it whether money is with staff.
create index webhooks_by_provider_reference on webhooks (gateway, provider_reference)
where provider_reference is not null;
