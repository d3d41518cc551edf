-- Everything up to here has been handed to whom it concerns, and most of it been acted on; null for
-- workers that do not say. The position stays behind it as long as one order takes.
alter table worker_marks add column read_to bigint;
