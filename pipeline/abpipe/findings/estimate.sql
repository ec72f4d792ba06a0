-- note: the stored estimateTime is more than 10 ms from what the record's visits add up to
-- Taking a selection back leaves no time behind: such records tell nothing.
SELECT
    annotation_id, dataset, abs(estimate_ms - estimate_recomputed_ms) > 10 AS found
FROM annotations
JOIN traces USING (annotation_id, dataset)
WHERE estimate_exact AND estimate_ms IS NOT NULL AND estimate_recomputed_ms IS NOT NULL
