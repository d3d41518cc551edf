insert into listings (
    handle, title, description, images, category, tags, vendor, active, search_key, title_key,
    listed_at, version, updated_at
)
values ($1, $2, $3, $4::json, $5, $6, $7, $8, $9, $10, $11, $12, $11)
on conflict (handle) do update
set
    title = excluded.title,
    description = excluded.description,
    images = excluded.images,
    category = excluded.category,
    tags = excluded.tags,
    vendor = excluded.vendor,
    active = excluded.active,
    search_key = excluded.search_key,
    title_key = excluded.title_key,
    version = excluded.version,
    updated_at = excluded.updated_at
