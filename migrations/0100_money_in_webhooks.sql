-- By which names the money of a webhook is asked for and given back: kept beside the body, because
-- bodies are let go of, and what reconciliation parks has none that a provider wrote.
alter table webhooks
    -- What the money is called there by whoever asked for it.
    add column reference text,
    -- The provider's own name for it.
    add column provider_reference text;

-- Whether somebody's money is with staff already.
create index webhooks_by_reference on webhooks (gateway, reference) where reference is not null;
