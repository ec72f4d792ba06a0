-- The records of the page that a record is on, a slot each, in order. Page records without ids are
-- told apart by when their page began.
SELECT other.image_id, other.dataset, other.annotation_id
FROM annotations AS one
JOIN annotations AS other
    ON other.dataset = one.dataset
    AND other.page = one.page
    AND other.annotator_id IS NOT DISTINCT FROM one.annotator_id
    AND other.assignment_id IS NOT DISTINCT FROM one.assignment_id
    AND other.tool_hit_id IS NOT DISTINCT FROM one.tool_hit_id
    AND other.started_ms IS NOT DISTINCT FROM one.started_ms
WHERE one.annotation_id = $annotation_id AND other.slot IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY other.slot ORDER BY other.annotation_id) = 1
ORDER BY other.slot
