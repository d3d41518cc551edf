-- One statement whether or not there is an account ($1 is null): no time tells.
with account as (
    select $1::uuid as account_id where $1 is not null
),
token as (
    insert into mailed_tokens (token_hash, account_id, purpose, expires_at)
    select $2, account_id, $3, $5 from account
)
insert into notifications (notification_id, kind, recipient, payload, created_at)
select $6, $7, $8, $9, $4 from account
