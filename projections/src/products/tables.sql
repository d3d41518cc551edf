create table products (
    sku text collate "C" primary key,
    name text not null,
    price_minor bigint not null,
    currency text not null,
    -- The prices in further currencies, as the log has them.
    prices json not null,
    active boolean not null,
    -- Null for what the house sells.
    vendor_id uuid,
    -- Null where nobody has said.
    weight_grams integer,
    -- SKU and name in lower case, as searched; made by us, so that no locale has a say.
    search_key text not null,
    version bigint not null,
    updated_at timestamptz not null
);

create index products_by_vendor on products (vendor_id, sku) where vendor_id is not null;
