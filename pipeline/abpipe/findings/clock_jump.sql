-- note: more than an hour between the first event and the last
SELECT annotation_id, dataset, last_ms - first_ms > 3600000 AS found
FROM audit
WHERE first_ms IS NOT NULL
