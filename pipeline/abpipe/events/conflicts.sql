-- Records that share the natural key of another; those with equal content were not stored. One that
-- names neither a person nor a task has no such key.
WITH keyed AS (
    SELECT
        annotation_id, image_id, annotator_id,
        coalesce(assignment_id, tool_hit_id) AS task_id,
        page, slot, source, dataset
    FROM annotations
    WHERE coalesce(annotator_id, assignment_id, tool_hit_id) IS NOT NULL
)
SELECT
    annotation_id, image_id, annotator_id, task_id, page, slot,
    min(annotation_id) OVER same_key AS first_annotation_id,
    source, dataset
FROM keyed
WINDOW same_key AS (PARTITION BY dataset, image_id, annotator_id, task_id, page, slot)
QUALIFY count(*) OVER same_key > 1
