-- One row for every move with a place (no farther off than floats go), in the stored frame; its time
-- since the record's first event. Records are met by number: there may be millions of moves.
WITH records AS MATERIALIZED (
    SELECT annotation_id, row, orientation
    FROM chosen
    JOIN numbers USING (image_id)
    JOIN image_sizes USING (image_id)
    WHERE annotation_id IS NOT NULL
), begins AS MATERIALIZED (
    SELECT annotation_id, row, orientation, min(t_ms) AS begin_ms
    FROM events
    JOIN records USING (annotation_id)
    GROUP BY annotation_id, row, orientation
)
SELECT
    row, annotation_id, seq,
    stored_x(x, y, orientation)::FLOAT AS x,
    stored_y(x, y, orientation)::FLOAT AS y,
    (t_ms::DOUBLE - begin_ms)::FLOAT AS t
FROM events
JOIN begins USING (annotation_id)
WHERE kind = 'move' AND abs(x) < 1e30 AND abs(y) < 1e30
