create table listings (
    handle text collate "C" primary key,
    title text not null,
    description text not null,
    -- Addresses, as the log has them.
    images json not null,
    -- May name one that is gone by now.
    category text collate "C",
    tags text[] not null,
    vendor uuid,
    active boolean not null,
    -- All that is searched, and the title as it is sorted, in lower case; made by us, so that no
    -- locale has a say.
    search_key text not null,
    title_key text collate "C" not null,
    listed_at timestamptz not null,
    version bigint not null,
    updated_at timestamptz not null
);
create index listings_by_age on listings (listed_at, handle);
-- A SKU stands on one page: the first that named it, until that one lets it go.
create table listing_variants (
    sku text collate "C" primary key,
    handle text collate "C" not null,
    place integer not null,
    options json not null
);
create index listing_variants_by_place on listing_variants (handle, place);
-- Which pages have ever named a SKU: what its variant is made of can be read again with it.
create table listing_claims (
    sku text collate "C" not null,
    handle text collate "C" not null,
    primary key (sku, handle)
);
create index listing_claims_by_handle on listing_claims (handle);
