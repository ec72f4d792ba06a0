-- One row a record, its moves as lists of equal length in recorded order.
SELECT
    annotation_id, image_id, annotator_id, selected,
    coalesce(moves.t_ms, []) AS t_ms,
    coalesce(moves.x, []) AS x,
    coalesce(moves.y, []) AS y,
    dataset
FROM annotations
LEFT JOIN (
    SELECT
        annotation_id,
        list(t_ms ORDER BY seq) AS t_ms,
        list(x ORDER BY seq) AS x,
        list(y ORDER BY seq) AS y
    FROM events
    WHERE kind = 'move'
    GROUP BY annotation_id
) AS moves USING (annotation_id)
