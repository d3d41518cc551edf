-- The currency that prices are told in: the one asked for, or that of the first variant.
cross join lateral (
    select coalesce(asked.currency, (
        select currency
        from listing_variants join products using (sku)
        where listing_variants.handle = listings.handle
            and {can_be_bought}
        order by place
        limit 1
    )) as currency
) as told
-- What its variants come to. Prices and stock are looked up, never copied.
cross join lateral (
    select
        count(*) as variants,
        count(*) filter (where active) as sold,
        coalesce(bool_or(active and 0 < available), false) as in_stock,
        min(price_minor) filter (where active) as price_minor
    from (
        select
            coalesce({can_be_bought}, false) as active,
            on_hand - reserved as available,
            case
                when products.currency = told.currency then products.price_minor
                else (
                    select (price ->> 'minor')::bigint
                    from json_array_elements(products.prices) as price
                    where price ->> 'currency' = told.currency
                )
            end as price_minor
        from listing_variants
            left join products using (sku)
            left join stock using (sku)
        where listing_variants.handle = listings.handle
    ) as variant
) as offered
