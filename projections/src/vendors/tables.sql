create table vendors (
    vendor_id uuid primary key,
    standing text collate "C" not null,
    business_name text not null,
    -- As the log has it.
    address json not null,
    -- What it tells customers of itself.
    description text,
    -- Whether they are told its town and country.
    shows_place boolean not null,
    -- Why it may not sell; null unless it was deactivated.
    reason text,
    -- Name in lower case, as searched; made by us, so that no locale has a say.
    search_key text not null,
    version bigint not null,
    registered_at timestamptz not null,
    updated_at timestamptz not null
);

create index vendors_newest on vendors (registered_at, vendor_id);
