-- Carts: what somebody means to buy. Ordinary rows and no events: nothing is promised by them.

create table carts (
    cart_id uuid primary key,
    -- Whose it is; null where it belongs to whoever shows its token.
    account_id uuid,
    -- SHA-256: a copy of the table opens nothing.
    token_hash bytea
        constraint carts_tokens_are_told_apart unique,
    currency text not null,
    -- The name of the order that is made of it, from the first try on: so that there is one at most,
    -- whoever tries and however often. Null again once what was ordered has been taken out.
    order_id uuid,
    -- The account whose cart it went into. Kept until it expires, so that a repetition is understood.
    merged_into uuid,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    expires_at timestamptz not null,
    constraint carts_are_somebodys check ((account_id is null) <> (token_hash is null))
);

create unique index carts_by_account on carts (account_id) where account_id is not null;
create index carts_by_end on carts (expires_at);

create table cart_items (
    cart_id uuid not null references carts on delete cascade,
    sku text collate "C" not null,
    quantity integer not null
        constraint cart_items_have_pieces check (0 < quantity),
    -- In the order in which they were put in.
    entry bigint generated always as identity,
    primary key (cart_id, sku)
);
