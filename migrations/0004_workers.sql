-- Workers act on events beside each other, so each order and each question says for itself how far
-- it has come; the marks only say from where to read again.

-- The newest event that the order has heard and that its state answers to: what is redelivered at
-- or below it has been heard. 0 for orders kept by older programs, whose mark says the same.
alter table checkouts add column position bigint not null default 0;
-- Written far more often than looked into, and never searched.
alter table checkouts alter column state type json;

-- Which provider is to be asked; null for questions planned by older programs.
alter table provider_polls add column gateway text;
-- Whether the provider has been called. False where so many calls waited for it that no more had
-- room in memory: then the first question is the call itself.
alter table provider_polls add column called boolean not null default true;

-- Steps that follow from events up to here may have been executed under ids of version 5.
alter table worker_marks add column version_5_to bigint not null default 0;
update worker_marks set version_5_to = (select position from log_head);
