-- One row for every move with a place (no farther off than floats go), in the stored frame; its time
-- since the record's first event.
SELECT
    row, annotation_id, seq,
    stored_x(x, y, orientation)::FLOAT AS x,
    stored_y(x, y, orientation)::FLOAT AS y,
    (t_ms::DOUBLE - begin_ms)::FLOAT AS t
FROM events
JOIN chosen USING (annotation_id, image_id)
JOIN numbers USING (image_id)
JOIN image_sizes USING (image_id)
JOIN (
    SELECT annotation_id, min(t_ms) AS begin_ms FROM events GROUP BY annotation_id
) USING (annotation_id)
WHERE kind = 'move' AND abs(x) < 1e30 AND abs(y) < 1e30
