-- The new records that share their natural key with another: whether an earlier record has the
-- same content already, and whether one with other content stays beside them. A record that names
-- neither a person nor a task has no natural key: it may be a duplicate, and contradicts nothing.
-- Reads `new_annotations`, `new_events`, and what the dataset has: `annotations`, `events`.
WITH keyed AS (
    SELECT
        *,
        hash(image_id, annotator_id, coalesce(assignment_id, tool_hit_id), page, slot) AS key,
        coalesce(annotator_id, assignment_id, tool_hit_id) IS NOT NULL AS is_told
    FROM (
        SELECT * EXCLUDE place, true AS is_new FROM new_annotations
        UNION ALL BY NAME
        SELECT * EXCLUDE dataset, false AS is_new FROM annotations
    )
),
rivals AS (
    SELECT * FROM keyed
    WHERE key IN (
        SELECT key FROM keyed GROUP BY key HAVING count(*) > 1 AND bool_or(is_new)
    )
),
histories AS (
    SELECT
        annotation_id,
        list((kind, seq, t_ms, x, y, x_from, y_from, label, category_index, keyboard)
            ORDER BY kind, seq)::VARCHAR AS history
    FROM (
        SELECT * EXCLUDE place FROM new_events
        UNION ALL BY NAME
        SELECT * EXCLUDE dataset FROM events
    )
    WHERE annotation_id IN (SELECT annotation_id FROM rivals)
    GROUP BY annotation_id
),
contents AS (
    SELECT
        annotation_id, is_new, is_told, key,
        md5(row(*COLUMNS(* EXCLUDE (annotation_id, is_new, is_told, key, source, member)))::VARCHAR)
            AS content
    FROM rivals
    LEFT JOIN histories USING (annotation_id)
),
told AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY key, content ORDER BY is_new, annotation_id) > 1
            AS is_duplicate
    FROM contents
)
SELECT
    annotation_id, is_duplicate,
    is_told AND count(*) FILTER (NOT is_duplicate) OVER (PARTITION BY key) > 1 AS is_conflict
FROM told
QUALIFY is_new
