-- Accounts and guests as one list, newest first: each brings a page of its own by its index, and the
-- newest of both are the page.
(
    select
        account_id as id, 'account' as kind, role, email,
        email_verified_at is not null as email_verified, name, phone,
        null::text as country, null::bigint as orders, created_at, updated_at
    from accounts
    where closed_at is null
        and ($1::text is null or $1 = 'account')
        and ($2::text is null or 0 < strpos(email_key, $2) or 0 < strpos(lower(name), $2))
        and ($3::text is null or role = $3)
        and ($4::text is null or email_key = $4)
        and ($5::bool is null or $5 = (email_verified_at is not null))
        and ($6::timestamptz is null or $6 <= created_at)
        and ($7::timestamptz is null or created_at <= $7)
        and ($8::timestamptz is null or (created_at, account_id) < ($8, $9))
    order by created_at desc, account_id desc
    limit $10
)
union all
(
    select
        guest_id, 'guest', null, email, false, name, phone, country, orders, created_at, updated_at
    from read.guests
    where ($1::text is null or $1 = 'guest')
        and ($2::text is null or 0 < strpos(email_key, $2) or 0 < strpos(lower(name), $2))
        -- Guests have no role, and have proved nothing.
        and $3::text is null
        and ($4::text is null or email_key = $4)
        and $5::bool is distinct from true
        and ($6::timestamptz is null or $6 <= created_at)
        and ($7::timestamptz is null or created_at <= $7)
        and ($8::timestamptz is null or (created_at, guest_id) < ($8, $9))
        -- Whoever has proved the address has taken the record over.
        and not exists (
            select from accounts
            where accounts.email_key = guests.email_key
                and email_verified_at is not null and closed_at is null
        )
    order by created_at desc, guest_id desc
    limit $10
)
order by created_at desc, id desc
limit $10
