-- Every order that was placed up to here has been begun; null for workers that begin none. The
-- position stays behind it as long as one order takes.
alter table worker_marks add column begun_to bigint;
