-- The trace that a task belongs to, as `traceparent` (W3C Trace Context) spells it; null: nobody traces it.
alter table task add column trace text;
