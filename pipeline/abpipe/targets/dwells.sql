-- One row for every move of a visit: where, in pixels, and how long the mouse stayed there.
SELECT
    row, annotation_id, visit,
    generate_subscripts(x_px, 1) AS place,
    unnest(x_px)::FLOAT AS x,
    unnest(y_px)::FLOAT AS y,
    unnest(dwell_ms)::FLOAT AS dwell
FROM visits
JOIN chosen USING (annotation_id, image_id)
JOIN numbers USING (image_id)
WHERE x_px IS NOT NULL AND list_max(list_transform(x_px || y_px, lambda px: abs(px))) < 1e30
