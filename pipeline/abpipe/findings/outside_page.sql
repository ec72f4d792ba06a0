-- warning: events before the page began, or after it ended
-- ImageNet's clock counts from 1970, as its page's does; COCO's from the beginning of the page.
SELECT
    annotation_id, dataset,
    if(
        tool = 'coco',
        first_ms < 0 OR coalesce(last_ms > time_spent_ms, false),
        first_ms < started_ms OR coalesce(last_ms > ended_ms, false)
    ) AS found
FROM annotations
JOIN audit USING (annotation_id, dataset)
WHERE found IS NOT NULL
